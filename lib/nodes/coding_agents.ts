/** The coding agents that forms offer, and for which provider each needs a stored key. */
import type { CredentialProvider } from "../wire/credential.ts";

export interface CodingAgent {
  id: string;
  label: string;
  credential?: Exclude<CredentialProvider, "hetzner">;
}

export const CODING_AGENTS: readonly CodingAgent[] = [
  { id: "demo", label: "Demo (no model, no key)" },
  { id: "claude", label: "Claude Code", credential: "anthropic" },
  { id: "codex", label: "Codex", credential: "openai" },
  { id: "gemini", label: "Gemini", credential: "google" },
  { id: "opencode", label: "OpenCode" },
];

/** The variable in which a coding agent looks for the key. */
export const KEY_VARIABLES: Record<Exclude<CredentialProvider, "hetzner">, string> = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
  google: "GEMINI_API_KEY",
};
