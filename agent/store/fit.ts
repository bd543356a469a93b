/**
 * Makes a message small enough to be delivered. Sizes are those of the JSON that travels, because escapes can make
 * 200 KB of text 1.2 MB. The diff is cut first, then the content, at a character boundary; the flags say by how much.
 */
import { byteLength } from "../../lib/bytes.ts";
import { TOOL_METADATA_MAX_BYTES } from "../../lib/wire/limits.ts";
import type { BatchMessage, ToolMetadata } from "../../lib/wire/message.ts";
import type { OutboxRow } from "./outbox.ts";

/** The whole message; the edge takes bodies of 256 KiB. */
const ITEM_MAX_BYTES = 240 * 1024;
/** Room for ids, role, flags and time around content and metadata. */
const ENVELOPE_BYTES = 1_024;
/** What one UTF-16 unit takes at most as JSON: `\u0000`. */
const ESCAPED_MAX_BYTES = 6;

/** `row` with content and metadata of at most `maxBytes` of JSON together. */
export function fitRow(row: OutboxRow, maxBytes: number): OutboxRow {
  const limit = Math.min(maxBytes, ITEM_MAX_BYTES - ENVELOPE_BYTES);
  // Most messages are so short that no character of theirs has to be looked at.
  if (row.toolMetadata === null && row.content.length * ESCAPED_MAX_BYTES + 2 <= limit) return row;
  const contentBytes = jsonBytes(row.content);
  const metadata = fitMetadata(row.toolMetadata, limit - contentBytes);
  const content = cutToJsonBytes(row.content, Math.max(limit - jsonBytes(metadata.value), 16));
  const removed = metadata.removed + byteLength(row.content) - byteLength(content);
  if (removed === 0) return row;
  const truncatedBytes = (row.flags?.truncatedBytes ?? 0) + removed;
  return { ...row, content, toolMetadata: metadata.value, flags: { ...row.flags, truncatedBytes } };
}

/** The message in the form in which it travels. */
export function toWire(row: OutboxRow): BatchMessage {
  return {
    messageId: row.messageId,
    sessionId: row.sessionId,
    role: row.role,
    content: row.content,
    // Undefined is left out of the JSON, and one shape for all is measured twice as fast as a spread.
    toolMetadata: row.toolMetadata ?? undefined,
    flags: row.flags ?? undefined,
    timestamp: row.createdAt,
  };
}

/** The message with the size in which it travels, in bytes of JSON. */
export function measure<T extends OutboxRow>(row: T): T & { bytes: number } {
  return { ...row, bytes: jsonBytes(toWire(row)) };
}

/** How many bytes of JSON `value` takes. */
export function jsonBytes(value: unknown): number {
  return value === null ? 0 : byteLength(JSON.stringify(value));
}

/** The longest beginning of `text` that takes at most `max` bytes as a JSON string, quotes included. */
export function cutToJsonBytes(text: string, max: number): string {
  let bytes = 2;
  for (let at = 0; at < text.length;) {
    const point = text.codePointAt(at)!;
    bytes += escapedBytes(point);
    if (bytes > max) return text.slice(0, at);
    at += point > 0xffff ? 2 : 1;
  }
  return text;
}

function escapedBytes(point: number): number {
  if (point === 0x22 || point === 0x5c) return 2;
  if (point < 0x20) return [8, 9, 10, 12, 13].includes(point) ? 2 : 6;
  if (point < 0x80) return 1;
  if (point < 0x800) return 2;
  if (point >= 0xd800 && point <= 0xdfff) return 6;
  return point > 0xffff ? 4 : 3;
}

/** Cuts the diff so far that the metadata keeps to its own limit and, if that is possible, to `room`. */
function fitMetadata(metadata: ToolMetadata | null, room: number): { value: ToolMetadata | null; removed: number } {
  const max = Math.min(TOOL_METADATA_MAX_BYTES, Math.max(room, 0));
  if (metadata === null || jsonBytes(metadata) <= max) return { value: metadata, removed: 0 };
  let value = metadata;
  let removed = 0;
  if (metadata.diff !== undefined) {
    const keep = jsonBytes(metadata.diff) - (jsonBytes(metadata) - max);
    const { diff, ...rest } = metadata;
    const cut = keep > 2 ? cutToJsonBytes(diff!, keep) : "";
    value = cut === "" ? rest : { ...rest, diff: cut };
    removed += byteLength(diff!) - byteLength(cut);
  }
  if (jsonBytes(value) > TOOL_METADATA_MAX_BYTES && value.input !== undefined) {
    const { input, ...rest } = value;
    value = rest;
    removed += jsonBytes(input);
  }
  return { value, removed };
}
