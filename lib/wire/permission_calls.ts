/** The calls about permission requests: the agent's that asks or gives up, and a person's that lists or answers. */
import { z } from "zod";
import { pageQuery, text, uuid } from "./common.ts";
import { PERMISSION_MAX_BYTES, PERMISSION_OPTIONS_MAX, PERMISSION_TITLE_MAX } from "./limits.ts";
import { toolMetadata } from "./message.ts";
import { permissionOption, permissionStatus } from "./permission.ts";

/** As the agent posts it: the whole within what one record may hold. */
export const requestPermission = z.strictObject({
  requestId: uuid,
  toolCallId: z.string().min(1).max(200),
  title: text(PERMISSION_TITLE_MAX),
  toolMetadata: toolMetadata.nullable().default(null),
  options: z.array(permissionOption).min(1, "must offer something").max(PERMISSION_OPTIONS_MAX),
}).refine((value) => new TextEncoder().encode(JSON.stringify(value)).length <= PERMISSION_MAX_BYTES, {
  message: `must be at most ${PERMISSION_MAX_BYTES} bytes of JSON`,
});
export type RequestPermission = z.infer<typeof requestPermission>;

export const permissionListQuery = pageQuery.extend({ status: permissionStatus.optional() });
export type PermissionListQuery = z.infer<typeof permissionListQuery>;

export const answerPermission = z.strictObject({ optionId: z.string().min(1).max(200) });
export const closePermission = z.strictObject({ outcome: z.enum(["expired", "cancelled"]) });
