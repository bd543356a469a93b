/** A message as a row of the database and back. The three tables that hold messages share these columns. */
import type { InValue, Row } from "@libsql/client";
import { z } from "zod";
import { toBytes, toText } from "../../lib/bytes.ts";
import { messageFlags, messageRole, toolMetadata } from "../../lib/wire/message.ts";
import type { OutboxRow } from "./outbox.ts";

export const MESSAGE_NAMES =
  "message_id, workspace_id, project_id, session_id, role, content, tool_metadata, flags, created_at";

const columns = z.object({
  message_id: z.string(),
  workspace_id: z.string(),
  project_id: z.string().nullable(),
  session_id: z.string(),
  role: messageRole,
  content: z.instanceof(ArrayBuffer).transform((bytes) => toText(new Uint8Array(bytes))),
  tool_metadata: z.string().nullable().transform((text) => text === null ? null : toolMetadata.parse(JSON.parse(text))),
  flags: z.string().nullable().transform((text) => text === null ? null : messageFlags.parse(JSON.parse(text))),
  created_at: z.string(),
});

/** The values of MESSAGE_NAMES. Content goes in as bytes, which keep what a text column would lose. */
export function toColumns(row: OutboxRow): InValue[] {
  return [
    row.messageId.toLowerCase(),
    row.workspaceId,
    row.projectId,
    row.sessionId,
    row.role,
    toBytes(row.content),
    row.toolMetadata === null ? null : JSON.stringify(row.toolMetadata),
    row.flags === null ? null : JSON.stringify(row.flags),
    row.createdAt,
  ];
}

export function fromColumns(row: Row): OutboxRow {
  const read = columns.parse({ ...row });
  return {
    messageId: read.message_id,
    workspaceId: read.workspace_id,
    projectId: read.project_id,
    sessionId: read.session_id,
    role: read.role,
    content: read.content,
    toolMetadata: read.tool_metadata,
    flags: read.flags,
    createdAt: read.created_at,
  };
}
