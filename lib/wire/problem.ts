/**
 * The one shape of an error on the wire: an RFC 9457 problem document that also carries a code for programs and a
 * sentence for people. The codes are a closed set; `lib/errors.ts` maps each to its HTTP status.
 */
import { z } from "zod";

export const errorCode = z.enum([
  "invalid_request",
  "invalid_json",
  "unsupported_media_type",
  "payload_too_large",
  "unauthorized",
  "forbidden",
  "cross_site",
  "not_invited",
  "not_found",
  "session_not_found",
  "wrong_host",
  "conflict",
  "name_taken",
  "invalid_transition",
  "not_editable",
  "still_live",
  "task_blocked",
  "dependency_cycle",
  "workspace_without_project",
  "session_full",
  "session_not_live",
  "session_closing",
  "prompt_not_queued",
  "too_many_prompts",
  "already_answered",
  "idempotency_key_reused",
  "limit_reached",
  "credentials_missing",
  "node_fenced",
  "node_busy",
  "node_unreachable",
  "node_lifecycle_conflict",
  "upgrade_required",
  "rate_limited",
  "github_unavailable",
  "store_busy",
  "internal_error",
]);
export type ErrorCode = z.infer<typeof errorCode>;

export const problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  error: errorCode,
  message: z.string(),
  requestId: z.string(),
});
export type Problem = z.infer<typeof problem>;
