/**
 * A coding agent that tries its model again says nothing of it in the protocol's own updates, and that can take minutes.
 * Where it tells it otherwise, a person is told as well: what is the matter, and how often it was tried.
 */
import { z } from "zod";
import { readFailure } from "./turn_answer.ts";

/** How the Claude adapter passes on what its command-line program says; asked for in the profile's `sessionMeta`. */
export const RAW_MESSAGE = "_claude/sdkMessage";

const apiRetry = z.object({
  sessionId: z.string(),
  message: z.object({
    type: z.literal("system"),
    subtype: z.literal("api_retry"),
    attempt: z.int().min(0),
    max_retries: z.int().min(0),
    error_status: z.int().nullish().catch(null),
  }),
});

export interface ModelRetry {
  sessionUpdate: "model_retry";
  text: string;
}

/** The retry that a raw message tells of; null for any other. */
export function readRetry(params: unknown): { sessionId: string; update: ModelRetry } | null {
  const read = apiRetry.safeParse(params);
  if (!read.success) return null;
  const { attempt, max_retries, error_status } = read.data.message;
  const text = `${describe(error_status ?? null)} Retrying automatically… (${attempt} of ${max_retries})`;
  return { sessionId: read.data.sessionId, update: { sessionUpdate: "model_retry", text } };
}

/** The retry that an update about the session tells of in its `_meta`; null for any other. */
export function readToldRetry(meta: unknown): ModelRetry | null {
  const told = readFailure(meta);
  if (!told || told.isFinal) return null;
  const what = told.category === "connection" ? describe(null) : "The AI service is temporarily busy.";
  return { sessionUpdate: "model_retry", text: `${what} Retrying automatically…` };
}

function describe(status: number | null): string {
  if (status === null) return "The connection to the AI service broke.";
  if (status === 429 || status === 503 || status === 529) return "The AI service is temporarily busy.";
  if (status === 401 || status === 403) return "The AI service refused the model key.";
  return `The AI service answered with an error (${status}).`;
}
