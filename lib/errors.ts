/**
 * Errors that a caller can act on. An `AppError` carries a code of the closed set in `wire/problem.ts`; everything
 * else that is thrown is a bug and becomes a 500 with a fixed sentence. Messages say what was attempted, why it
 * failed and what to do; they never hold a secret.
 */
import type { ErrorCode, Problem } from "./wire/problem.ts";

const STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_json: 400,
  unsupported_media_type: 415,
  payload_too_large: 413,
  unauthorized: 401,
  forbidden: 403,
  cross_site: 403,
  not_invited: 403,
  not_found: 404,
  session_not_found: 404,
  wrong_host: 421,
  conflict: 409,
  name_taken: 409,
  invalid_transition: 409,
  not_editable: 409,
  still_live: 409,
  task_blocked: 409,
  dependency_cycle: 409,
  workspace_without_project: 409,
  session_full: 409,
  session_not_live: 409,
  session_closing: 409,
  prompt_not_queued: 409,
  too_many_prompts: 409,
  already_answered: 409,
  idempotency_key_reused: 422,
  limit_reached: 409,
  credentials_missing: 400,
  node_fenced: 410,
  node_busy: 409,
  node_unreachable: 409,
  node_lifecycle_conflict: 409,
  upgrade_required: 426,
  rate_limited: 429,
  github_unavailable: 503,
  store_busy: 503,
  internal_error: 500,
};

const UNKNOWN = "Something went wrong on our side. Try again; if it stays, quote the request id to your admin.";

export interface AppErrorOptions {
  /** Extra members of the problem document, for programs. */
  details?: Record<string, unknown>;
  cause?: unknown;
  retryAfterSeconds?: number;
}

export class AppError extends Error {
  override name = "AppError";
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return STATUS[this.code];
  }
}

/** The answer to another user's object and to one that never was: they look the same. */
export function notFound(what: string): AppError {
  return new AppError("not_found", `This ${what} does not exist, or you have no access to it.`);
}

/** The problem document of any thrown value. The detail of an unknown error stays out of it. */
export function toProblem(error: unknown, requestId: string): Problem {
  const known = error instanceof AppError ? error : new AppError("internal_error", UNKNOWN);
  return {
    ...known.details,
    type: `urn:hearth:error:${known.code}`,
    title: known.code.replaceAll("_", " "),
    status: known.status,
    error: known.code,
    message: known.message,
    requestId,
  };
}

/** The text of any thrown value, for a log line or for a reason shown to a person. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
