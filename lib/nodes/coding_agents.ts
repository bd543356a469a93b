/** The coding agents that forms offer, for which provider each needs a stored key, and which a run may name. */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { listFleet } from "../store/nodes.ts";
import type { ModelProvider } from "../wire/credential.ts";

export interface CodingAgent {
  id: string;
  label: string;
  /** Without a stored key of this one no run begins, unless its machine knows a login. */
  credential?: ModelProvider;
}

export const CODING_AGENTS: readonly CodingAgent[] = [
  { id: "demo", label: "Demo (no model, no key)" },
  { id: "claude", label: "Claude Code", credential: "anthropic" },
  { id: "codex", label: "Codex", credential: "openai" },
  { id: "gemini", label: "Gemini", credential: "google" },
  { id: "opencode", label: "OpenCode" },
];

/** The variable in which a coding agent looks for the key. */
export const KEY_VARIABLES: Record<ModelProvider, string> = {
  anthropic: "ANTHROPIC_API_KEY",
  openai: "OPENAI_API_KEY",
  google: "GEMINI_API_KEY",
};

/** The providers whose stored keys a coding agent is given: its own, or where it takes any model all of them. */
export function keysOf(codingAgent: string): ModelProvider[] {
  if (codingAgent === "opencode") return ["anthropic", "openai", "google"];
  const own = CODING_AGENTS.find(({ id }) => id === codingAgent)?.credential;
  return own ? [own] : [];
}

/**
 * Refuses a coding agent that nobody knows, before a machine is made for it. Known are those of the forms, and those that
 * a machine of the user offers. Throws `invalid_request`.
 */
export async function requireKnownCodingAgent(
  edge: Edge,
  userId: string,
  id: string | null | undefined,
): Promise<void> {
  if (!id || CODING_AGENTS.some((agent) => agent.id === id)) return;
  const offered = (await listFleet(edge.store, userId)).flatMap((node) => node.codingAgents);
  if (offered.includes(id)) return;
  const known = [...new Set([...CODING_AGENTS.map((agent) => agent.id), ...offered])];
  throw new AppError("invalid_request", `There is no coding agent "${id}". Choose one of: ${known.join(", ")}.`, {
    details: { known },
  });
}
