/**
 * Answers to a coding agent that asks before it acts. Options are chosen by kind, because ids differ from agent to
 * agent. Nobody can be asked in `ask` mode while a run goes on by itself, so there everything that asks is refused:
 * what a person did not allow does not happen.
 */
import type { PermissionOption, RequestPermissionResponse } from "@agentclientprotocol/sdk/unstable";

export interface Decision {
  response: RequestPermissionResponse;
  /** For the tool's metadata: what was decided, and by whom. */
  recorded: { outcome: string; by: string };
  /** For the reader of the tool's message: why it was refused. Null where it was not, or by no rule of the project. */
  refusal: string | null;
}

const WANTED = {
  autonomous: ["allow_once", "allow_always"],
  ask: ["reject_once", "reject_always"],
} as const;

const REFUSAL = "Refused, because this project asks for permission and nobody can be asked here.";

/** Decides by the workspace's permission mode. */
export function decidePermission(mode: keyof typeof WANTED, options: PermissionOption[]): Decision {
  const kinds: readonly string[] = WANTED[mode];
  const refusal = mode === "ask" ? REFUSAL : null;
  const chosen = kinds.flatMap((kind) => options.filter((option) => option.kind === kind))[0];
  if (!chosen) {
    return {
      response: { outcome: { outcome: "cancelled" } },
      recorded: { outcome: "cancelled", by: "policy" },
      refusal,
    };
  }
  return {
    response: { outcome: { outcome: "selected", optionId: chosen.optionId } },
    recorded: { outcome: chosen.kind, by: "policy" },
    refusal,
  };
}
