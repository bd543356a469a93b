/** What a coding agent asks before it acts, and the answer. Used by the agent that asks, the edge and the page. */
import { z } from "zod";
import { pageQuery, text, timestamp, uuid } from "./common.ts";
import { PERMISSION_MAX_BYTES, PERMISSION_OPTIONS_MAX, PERMISSION_TITLE_MAX } from "./limits.ts";
import { toolMetadata } from "./message.ts";

export const permissionKind = z.enum(["allow_once", "allow_always", "reject_once", "reject_always"]);
export const permissionStatus = z.enum(["pending", "answered", "expired", "cancelled"]);

export const permissionOption = z.object({
  optionId: z.string().min(1).max(200),
  name: z.string().max(200),
  kind: permissionKind,
});
export type PermissionOption = z.infer<typeof permissionOption>;

const asked = {
  requestId: uuid,
  toolCallId: z.string().min(1).max(200),
  title: text(PERMISSION_TITLE_MAX),
  options: z.array(permissionOption).min(1, "must offer something").max(PERMISSION_OPTIONS_MAX),
};

/** As the agent posts it: the whole within what one record may hold. */
export const requestPermission = z.strictObject({ ...asked, toolMetadata: toolMetadata.nullable().default(null) })
  .refine((value) => new TextEncoder().encode(JSON.stringify(value)).length <= PERMISSION_MAX_BYTES, {
    message: `must be at most ${PERMISSION_MAX_BYTES} bytes of JSON`,
  });
export type RequestPermission = z.infer<typeof requestPermission>;

/** `answer` is the option that was chosen, `answeredBy` the login of who chose it. */
export const permissionRequest = z.object({
  ...asked,
  sessionId: uuid,
  title: z.string(),
  options: z.array(permissionOption),
  toolMetadata: toolMetadata.nullable(),
  status: permissionStatus,
  answer: z.string().nullable(),
  answeredBy: z.string().nullable(),
  createdAt: timestamp,
  expiresAt: timestamp,
});
export type PermissionRequest = z.infer<typeof permissionRequest>;

export const permissionListQuery = pageQuery.extend({ status: permissionStatus.optional() });
export type PermissionListQuery = z.infer<typeof permissionListQuery>;

export const answerPermission = z.strictObject({ optionId: z.string().min(1).max(200) });
export const closePermission = z.strictObject({ outcome: z.enum(["expired", "cancelled"]) });
