/** Why a coding agent failed, in a sentence for a person: its own words where it gave some, never a secret. */
import { RequestError } from "@agentclientprotocol/sdk/unstable";
import { z } from "zod";
import { cutText } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import { scrub } from "../../lib/log.ts";
import { ERROR_MAX } from "../../lib/wire/limits.ts";

const AUTH_REQUIRED = -32_000;
const errorData = z.union([
  z.string().transform((details) => ({ details, errorKind: "", errorName: "" })),
  z.looseObject({
    details: z.string().optional(),
    message: z.string().optional(),
    errorKind: z.string().default(""),
    errorName: z.string().default(""),
  }).transform(({ details, message, errorKind, errorName }) => ({
    details: details ?? message ?? "",
    errorKind,
    errorName,
  })),
]).catch({ details: "", errorKind: "", errorName: "" });
/** So OpenCode names an error whose words are those of the model's service. */
const SERVICE_ERROR = "APIError";

/** What some coding agents put into the conversation besides answering with an error, or answer with: it is told once. */
const FAILURE_TEXT =
  /^(?:Failed to authenticate\.? )?API Error\b|^Invalid API key\b|^Not logged in\b|^Please run \/login\b|^\{"error":\{"code":\d{3}\b/;

/** The first that fits wins. */
const MODEL_FAILURES: readonly {
  kind: RegExp;
  words: RegExp;
  /** The words of Codex's adapter for it. */
  categories: string[];
  tell: (label: string) => string;
}[] = [
  {
    kind: /^(?:authentication_failed|oauth_org_not_allowed|cloud_credential_error)$/,
    words:
      /\b401\b|\b403\b|(?:invalid|incorrect) (?:x-)?api[- ]key|not logged in|run \/login|api key (?:is )?(?:missing|not valid)/i,
    categories: ["access"],
    tell: (label) =>
      `${label} is not signed in, or the AI service refused its key. Store a working key on the page Credentials, ` +
      "or sign in to it on its machine where it runs as you, then run the task again.",
  },
  {
    kind: /^billing_error$/,
    words: /credit balance|billing|insufficient[_ ]quota/i,
    categories: [],
    tell: (label) => `The account behind ${label}'s key has no credit left. Add some, then run the task again.`,
  },
  {
    kind: /^(?:rate_limit|overloaded)$/,
    words: /\b429\b|\b529\b|rate.?limit|overloaded|too many requests|high demand/i,
    categories: ["limit"],
    tell: () => "The AI service is temporarily busy, also after several tries. Run the task again in a few minutes.",
  },
  {
    kind: /^(?:server_error|transport_lost)$/,
    words: /\b50[0-4]\b|internal server error|connection (?:error|closed|reset)|socket hang up|fetch failed/i,
    categories: ["service", "connection"],
    tell: () =>
      "The AI service failed or could not be reached, also after several tries. Run the task again in a few minutes.",
  },
];

/** Whether a text of the conversation is a coding agent's own word for a failure that it also answers with. */
export function isFailureText(text: string): boolean {
  return FAILURE_TEXT.test(text);
}

/** A request that the coding agent answered with an error. `said`: what it told of it in the conversation. */
export function explainError(error: unknown, options: { label: string; said?: string | null }): string {
  const { label, said } = options;
  if (!(error instanceof RequestError)) return toSentence(`${label} reported an error: ${messageOf(error)}`);
  const text = ownWords(error);
  const { errorKind, errorName } = errorData.parse(error.data ?? {});
  const kind = error.code === AUTH_REQUIRED ? "authentication_failed" : errorKind;
  const words = `${said ?? ""} ${isFailureText(text) || errorName === SERVICE_ERROR ? text : ""}`;
  const known = MODEL_FAILURES.find((failure) => failure.words.test(words)) ??
    MODEL_FAILURES.find((failure) => failure.kind.test(kind));
  return toSentence(known ? known.tell(label) : `${label} reported an error: ${text}`);
}

/** What of the model's service was told in a turn's answer, by its category; its title where that says nothing. */
export function explainToldFailure({ category, title }: { category: string; title: string }, label: string): string {
  const known = MODEL_FAILURES.find((failure) => failure.words.test(title)) ??
    MODEL_FAILURES.find((failure) => failure.categories.includes(category));
  return toSentence(known ? known.tell(label) : `${label} reported an error: ${title || "it did not say which"}`);
}

/** A process that ended by itself. */
export function explainEnd(status: Deno.CommandStatus | null, options: { label: string; lastLines: string }): string {
  // It lives, and yet the connection closed: it sent a message beyond every limit.
  if (status === null) return toSentence(`${options.label} sent what nobody can read, so it was ended.`);
  const how = status.signal ? `by ${status.signal}` : `with exit code ${status.code}`;
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
