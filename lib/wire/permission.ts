/** What a coding agent asks before it acts, as people see it. */
import { z } from "zod";
import { timestamp, uuid } from "./common.ts";
import { toolMetadata } from "./message.ts";

export const permissionStatus = z.enum(["pending", "answered", "expired", "cancelled"]);

export const permissionOption = z.object({
  optionId: z.string().min(1).max(200),
  name: z.string().max(200),
  kind: z.enum(["allow_once", "allow_always", "reject_once", "reject_always"]),
});
export type PermissionOption = z.infer<typeof permissionOption>;

/** `answer` is the option that was chosen, `answeredBy` the login of who chose it. */
export const permissionRequest = z.object({
  requestId: uuid,
  sessionId: uuid,
  toolCallId: z.string(),
  title: z.string(),
  toolMetadata: toolMetadata.nullable(),
  options: z.array(permissionOption),
  status: permissionStatus,
  answer: z.string().nullable(),
  answeredBy: z.string().nullable(),
  createdAt: timestamp,
  expiresAt: timestamp,
});
export type PermissionRequest = z.infer<typeof permissionRequest>;
