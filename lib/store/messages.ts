/**
 * Messages as they lie in the store: content as UTF-8 bytes (V8 stores a string with one wide character at two bytes a
 * unit), inline up to 32 KiB, above that a preview in the record and the whole in parts.
 */
import { boundary, splitBytes, toBytes, toText } from "../bytes.ts";
import { CONTENT_INLINE_MAX_BYTES, CONTENT_PREVIEW_BYTES, PAGE_MAX_BYTES } from "../wire/limits.ts";
import type { Message, MessageFlags, MessagePage, MessagePageQuery, MessageRole } from "../wire/message.ts";
import { toolMetadata } from "../wire/message.ts";
import type { Change } from "./change.ts";
import { msgIdKey, msgKey, msgPartKey } from "./keys.ts";
import type { Store } from "./store.ts";
import { toIso } from "./time.ts";

/** A part and its overhead stay below the 65,536 bytes that a value may take. */
const PART_BYTES = 60_000;
/** How many foreign ids a range of ids may hold before each id is looked up instead. */
const RANGE_SLACK = 20;

type Body = Uint8Array | { preview: Uint8Array; bytes: number; parts: number };

export interface MessageRecord {
  v: 1;
  messageId: string;
  role: MessageRole;
  run: number;
  body: Body;
  /** Tool metadata as UTF-8 JSON. */
  meta: Uint8Array | null;
  flags: MessageFlags | null;
  createdAt: number;
  receivedAt: number;
  /** The workspace that delivered it; null for what the edge itself wrote. */
  w: string | null;
}

export interface NewMessage {
  messageId: string;
  role: MessageRole;
  run: number;
  content: string;
  toolMetadata: Message["toolMetadata"];
  flags: MessageFlags | null;
  createdAt: number;
  workspaceId: string | null;
}

/** Writes one message, its parts and its id key. The caller checks and writes the session record in the same commit. */
export function setMessage(tx: Change, at: { sessionId: string; seq: number }, message: NewMessage): void {
  const bytes = toBytes(message.content);
  const record: MessageRecord = {
    v: 1,
    messageId: message.messageId,
    role: message.role,
    run: message.run,
    body: bytes.length <= CONTENT_INLINE_MAX_BYTES ? bytes : setParts(tx, at, bytes),
    meta: message.toolMetadata ? toBytes(JSON.stringify(message.toolMetadata)) : null,
    flags: message.flags,
    createdAt: message.createdAt,
    receivedAt: tx.now,
    w: message.workspaceId,
  };
  tx.set(msgKey(at.sessionId, at.seq), record).set(msgIdKey(at.sessionId, message.messageId), at.seq);
}

function setParts(tx: Change, at: { sessionId: string; seq: number }, bytes: Uint8Array): Body {
  const parts = splitBytes(bytes, PART_BYTES);
  parts.forEach((part, i) => tx.set(msgPartKey(at.sessionId, at.seq, i), part));
  const preview = bytes.slice(0, boundary(bytes, CONTENT_PREVIEW_BYTES));
  return { preview, bytes: bytes.length, parts: parts.length };
}

/** Removes the parts of a message that is about to be replaced. */
export async function deleteParts(tx: Change, sessionId: string, seq: number): Promise<void> {
  const old = (await tx.get<MessageRecord>(msgKey(sessionId, seq))).value;
  if (!old || old.body instanceof Uint8Array) return;
  for (let i = 0; i < old.body.parts; i++) tx.delete(msgPartKey(sessionId, seq, i));
}

/**
 * Which of these ids the session has already. Read it after the session record, never before. Agents make ids in the
 * order of time, so that those of a batch lie side by side and one range holds them; a range full of others' ids means
 * that they do not, and each is looked up.
 */
export async function findKnown(tx: Change, sessionId: string, messageIds: string[]): Promise<Set<string>> {
  const sorted = messageIds.toSorted();
  const range = { start: msgIdKey(sessionId, sorted[0]!), end: msgIdKey(sessionId, `${sorted.at(-1)!}\0`) };
  const limit = messageIds.length + RANGE_SLACK;
  const found = await Array.fromAsync(tx.kv.list(range, { limit, batchSize: limit }));
  if (found.length === limit) return await lookUp(tx, sessionId, messageIds);
  const wanted = new Set(messageIds);
  return new Set(found.map((entry) => entry.key[2] as string).filter((id) => wanted.has(id)));
}

async function lookUp(tx: Change, sessionId: string, messageIds: string[]): Promise<Set<string>> {
  const chunks: string[][] = [];
  for (let at = 0; at < messageIds.length; at += 10) chunks.push(messageIds.slice(at, at + 10));
  const known = await Promise.all(chunks.map(async (ids) => {
    const entries = await tx.kv.getMany<number[]>(ids.map((id) => msgIdKey(sessionId, id)));
    return ids.filter((_, i) => entries[i]!.value !== null);
  }));
  return new Set(known.flat());
}

/**
 * One page by seq, in rising order; the cost depends on the page only. Long content comes as a preview. A page ends
 * after `limit` messages or 1 MiB of content.
 */
export async function listMessages(
  store: Store,
  session: { id: string; lastSeq: number },
  query: MessagePageQuery,
): Promise<MessagePage> {
  const forward = query.after !== undefined;
  // The store refuses a range that ends before it starts.
  const range = forward
    ? {
      start: msgKey(session.id, Math.min(query.after!, session.lastSeq) + 1),
      end: msgKey(session.id, Number.MAX_SAFE_INTEGER),
    }
    : { start: msgKey(session.id, 0), end: msgKey(session.id, query.before ?? Number.MAX_SAFE_INTEGER) };
  const items: Message[] = [];
  let [bytes, hasMore] = [0, false];
  const batchSize = Math.min(100, query.limit + 1);
  for await (const entry of store.kv.list<MessageRecord>(range, { reverse: !forward, batchSize })) {
    if (items.length === query.limit || (items.length > 0 && bytes >= PAGE_MAX_BYTES)) {
      hasMore = true;
      break;
    }
    bytes += shownBytes(entry.value);
    items.push(toMessage(entry.key[2] as number, entry.value));
  }
  const lastSeq = Math.max(session.lastSeq, ...items.map((item) => item.seq));
  return { items: forward ? items : items.reverse(), hasMore, lastSeq };
}

/** What a message takes in a page: its content or the preview of it, and its tool's metadata. */
function shownBytes({ body, meta }: MessageRecord): number {
  return (body instanceof Uint8Array ? body : body.preview).length + (meta?.length ?? 0);
}

/** The messages of a range of seq, both ends included, long content as previews. */
export async function listRange(store: Store, sessionId: string, [from, to]: [number, number]): Promise<Message[]> {
  const range = { start: msgKey(sessionId, from), end: msgKey(sessionId, to + 1) };
  const entries = await Array.fromAsync(store.kv.list<MessageRecord>(range, { batchSize: 100 }));
  return entries.map((entry) => toMessage(entry.key[2] as number, entry.value));
}

/** One message with its whole content, or null. */
export async function readMessage(store: Store, sessionId: string, seq: number): Promise<Message | null> {
  const record = (await store.kv.get<MessageRecord>(msgKey(sessionId, seq))).value;
  if (!record) return null;
  const { contentBytes: _bytes, truncated: _cut, ...message } = toMessage(seq, record);
  return { ...message, content: await readContent(store, { sessionId, seq }, record) };
}

async function readContent(
  store: Store,
  at: { sessionId: string; seq: number },
  record: MessageRecord,
): Promise<string> {
  if (record.body instanceof Uint8Array) return toText(record.body);
  const whole = new Uint8Array(record.body.bytes);
  let offset = 0;
  for await (const part of store.kv.list<Uint8Array>({ prefix: ["msgPart", at.sessionId, at.seq] })) {
    whole.set(part.value, offset);
    offset += part.value.length;
  }
  return toText(whole);
}

/** As pages and frames have it: long content cut to its preview. */
export function toMessage(seq: number, record: MessageRecord): Message {
  const inline = record.body instanceof Uint8Array;
  return {
    seq,
    messageId: record.messageId,
    run: record.run,
    role: record.role,
    content: toText(inline ? record.body as Uint8Array : (record.body as { preview: Uint8Array }).preview),
    ...(inline ? {} : { contentBytes: (record.body as { bytes: number }).bytes, truncated: true }),
    toolMetadata: record.meta ? toolMetadata.parse(JSON.parse(toText(record.meta))) : null,
    flags: record.flags,
    createdAt: toIso(record.createdAt),
    receivedAt: toIso(record.receivedAt),
  };
}
