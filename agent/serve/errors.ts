/**
 * What clients are told when something fails: what happened and what to do, in sentences of our own. A failure's own
 * text, which may come from a library, a model or a coding agent, is looked at and never passed on.
 */
import type { EndReason, EngineErrorCode, SuggestedAction } from "../../lib/wire/chat_engine.ts";

export interface Explained {
  error: string;
  action: SuggestedAction;
}

export const RATE_LIMIT = /rate.?limit|too many requests|overloaded|temporarily busy|\b(?:429|529)\b/i;

/** The first that fits wins: the more particular ones stand first. */
const KNOWN: readonly [RegExp, Explained][] = [
  [RATE_LIMIT, { error: "The AI service is temporarily busy. Retrying automatically…", action: "retry" }],
  [
    /not signed in|api[ _-]?key|unauthori[sz]ed|authentication|\b401\b|credit balance/i,
    {
      error:
        "The AI service refused the model key. Set ANTHROPIC_API_KEY where the server is started, then restart it.",
      action: "check_key",
    },
  ],
  [
    /tim(?:ed?|e)[ -]?out|stalled|deadline|ETIMEDOUT|no answer for/i,
    { error: "Response interrupted. You can retry.", action: "retry" },
  ],
  [
    /ended unexpectedly|connection closed|could not be started|has no session|was ended/i,
    { error: "The coding agent ended unexpectedly. Your next message resumes the conversation.", action: "resume" },
  ],
];
const UNKNOWN: Explained = { error: "The coding agent could not finish its answer. You can retry.", action: "retry" };

/** What is told of a turn that failed. */
export function explainFailure(failure: string): Explained {
  return KNOWN.find(([pattern]) => pattern.test(failure))?.[1] ?? UNKNOWN;
}

/** The sentence for each code. */
export const REFUSALS: Record<Exclude<EngineErrorCode, "invalid_json" | "invalid_message" | "unknown_type">, string> = {
  query_in_progress: "The coding agent is still answering. Wait for the end of the answer, or interrupt it.",
  session_not_found: "This session does not exist.",
  not_resumable: "Session not found or not resumable",
  capacity_exceeded: "All places for sessions are taken. End one, or try again later.",
  internal_error: "The coding agent could not be started. Try again; if it stays, look at the server's log.",
  session_opened_elsewhere: "This session was opened in another window.",
  server_shutting_down: "The server is shutting down.",
};

/** What is told of a session that ends, by the reason. */
export const ENDINGS: Record<EndReason, string> = {
  duration: "The session reached its longest duration. It can be resumed.",
  memory_limit: "Session restarted for performance. Conversation preserved.",
  crashed: "The coding agent ended unexpectedly. The conversation is kept and can be resumed.",
  idle: "The session was idle for a long time, so its coding agent was ended. It can be resumed.",
  user_requested: "The session was ended.",
};
