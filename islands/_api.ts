/**
 * The one way in which islands call the edge: JSON in, JSON out through the schema that the edge answers by. What
 * goes wrong is an `ApiError` with a sentence for a person; nothing else is thrown.
 */
import type { z } from "zod";
import { type ErrorCode, problem } from "../lib/wire/problem.ts";

const TIMEOUT_MS = 30_000;
/** Only reads are tried again by themselves; a write is tried again by the person, under the same key. */
const READ_RETRIES = 2;

export type ApiErrorCode = ErrorCode | "offline" | "bad_answer";

export class ApiError extends Error {
  override name = "ApiError";
  readonly code: ApiErrorCode;
  readonly requestId: string | null;
  /** Further members of the problem document, for those who know the code. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    code: ApiErrorCode,
    message: string,
    options: { requestId?: string; details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.requestId = options.requestId ?? null;
    this.details = options.details ?? {};
  }
}

export interface CallOptions<T extends z.ZodType> {
  method?: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  body?: unknown;
  /** What the answer must be; without one the answer's body is not read. */
  answer?: T;
  /** Made once per thing to create, kept over repeats. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** Calls `path` of the edge. Throws an ApiError for every answer but a good one, and for none at all. */
export async function call<T extends z.ZodType>(path: string, options: CallOptions<T> = {}): Promise<z.output<T>> {
  const response = await send(path, options);
  if (!response.ok) throw await errorOf(response);
  if (!options.answer) return undefined as z.output<T>;
  const parsed = options.answer.safeParse(await response.json().catch(() => undefined));
  if (parsed.success) return parsed.data;
  throw new ApiError("bad_answer", "The server sent an answer that this page does not understand. Reload the page.", {
    cause: parsed.error,
  });
}

/** The sentence to show for anything that was thrown. */
export function sentenceOf(error: unknown): string {
  if (!(error instanceof ApiError)) return "Something went wrong in this page. Reload it and try again.";
  return error.code === "internal_error" && error.requestId ? `${error.message} (${error.requestId})` : error.message;
}

async function send<T extends z.ZodType>(path: string, options: CallOptions<T>): Promise<Response> {
  const { method = "GET", body, idempotencyKey, signal } = options;
  try {
    // Loaded with the first call: reading a page needs none, so a first load goes without it.
    const { default: ky } = await import("ky");
    return await ky(path, {
      method,
      timeout: TIMEOUT_MS,
      retry: method === "GET" ? READ_RETRIES : 0,
      throwHttpErrors: false,
      headers: {
        accept: "application/json",
        ...(idempotencyKey ? { "idempotency-key": idempotencyKey } : {}),
      },
      ...(body === undefined ? {} : { json: body }),
      ...(signal ? { signal } : {}),
    });
  } catch (cause) {
    throw new ApiError("offline", "The server could not be reached. Check your connection and try again.", { cause });
  }
}

async function errorOf(response: Response): Promise<ApiError> {
  const parsed = problem.safeParse(await response.json().catch(() => undefined));
  if (!parsed.success) {
    return new ApiError("internal_error", `The server answered ${response.status}. Try again in a moment.`);
  }
  const { error, message, requestId, ...details } = parsed.data;
  return new ApiError(error, message, { requestId, details });
}
