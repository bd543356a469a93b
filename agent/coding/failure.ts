/** Why a coding agent failed, in a sentence for a person: its own words where it gave some, never a secret. */
import { RequestError } from "@agentclientprotocol/sdk/unstable";
import { z } from "zod";
import { cutText } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import { scrub } from "../../lib/log.ts";
import { ERROR_MAX } from "../../lib/wire/limits.ts";

const AUTH_REQUIRED = -32_000;
const errorData = z.union([
  z.string().transform((details) => ({ details })),
  z.looseObject({ details: z.string().optional(), message: z.string().optional() })
    .transform((data) => ({ details: data.details ?? data.message ?? "" })),
]).catch({ details: "" });

/** A request that the coding agent answered with an error. */
export function explainError(error: unknown, label: string): string {
  const text = error instanceof RequestError ? ownWords(error) : messageOf(error);
  const isAuth = error instanceof RequestError && error.code === AUTH_REQUIRED;
  return toSentence(
    isAuth
      ? `${label} is not signed in: ${text} Set its key in the credentials, then run the task again.`
      : `${label} reported an error: ${text}`,
  );
}

/** A process that ended by itself. */
export function explainEnd(status: Deno.CommandStatus | null, options: { label: string; lastLines: string }): string {
  const how = status?.signal ? `by ${status.signal}` : `with exit code ${status?.code ?? "unknown"}`;
  const lines = options.lastLines.trim();
  return toSentence(`${options.label} ended unexpectedly (${how}).${lines ? ` Its last words: ${lines}` : ""}`);
}

function ownWords(error: RequestError): string {
  const said = error.message.replace(/^(?:Internal error|Authentication required)(?:: )?/, "");
  return said || errorData.parse(error.data ?? {}).details || error.message;
}

function toSentence(text: string): string {
  return cutText(scrub(text), ERROR_MAX);
}
