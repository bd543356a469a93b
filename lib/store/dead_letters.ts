/**
 * Dead letters that nodes handed over before their machines went. Each lies under its node by its messageId, so that a
 * batch that comes twice is stored once; long content lies in parts. All of one goes after thirty days.
 */
import { boundary, splitBytes, toBytes, toText } from "../bytes.ts";
import { AppError } from "../errors.ts";
import { CONTENT_PREVIEW_BYTES } from "../wire/limits.ts";
import { type DeadLetter, deadLetter, type DeadLetterQuery, type KeptDeadLetter } from "../wire/dead_letter.ts";
import { type Change, change } from "./change.ts";
import { deadLetterKey, deadLetterPartKey, nodeKey, userTopic } from "./keys.ts";
import type { NodeRecord } from "./nodes.ts";
import { listPage, type Page } from "./page.ts";
import type { Store } from "./store.ts";
import { toIso } from "./time.ts";

const DEAD_LETTER_LIFE_MS = 30 * 24 * 3_600_000;
const PART_BYTES = 60_000;
/** What one read of the store takes. */
const READ_AT_ONCE = 10;
/** What fits one atomic operation beside keys and previews. JSON may be written shorter than it is stored. */
const STORED_MAX_BYTES = 600 * 1024;

const storedFacts = deadLetter.omit({ content: true });

interface DeadLetterRecord {
  v: 1;
  /** All but the content, as UTF-8 JSON: the store keeps what a node sent, whatever its shape. */
  facts: Uint8Array;
  preview: Uint8Array;
  bytes: number;
  parts: number;
  receivedAt: number;
  expiresAt: number;
}

/**
 * Keeps a node's dead letters; those that are known are counted and left as they are. Throws `payload_too_large`,
 * `store_busy`.
 */
export async function keepDeadLetters(
  store: Store,
  kept: { nodeId: string; letters: DeadLetter[]; clock: () => number },
): Promise<{ persisted: number; duplicates: number }> {
  const { nodeId, letters, clock } = kept;
  return await change(store, async (tx) => {
    const fresh = await findFresh(tx, nodeId, letters);
    const bytes = fresh.reduce((sum, letter) => sum + setDeadLetter(tx, nodeId, letter), 0);
    if (bytes > STORED_MAX_BYTES) {
      throw new AppError("payload_too_large", `These take ${bytes} bytes in the store. Send fewer at once.`);
    }
    if (fresh.length > 0) await countKept(tx, nodeId, fresh.length);
    return { persisted: fresh.length, duplicates: letters.length - fresh.length };
  }, clock);
}

/** A node's dead letters in the order of their messageIds, which is mostly that of their making; content is cut. */
export async function listDeadLetters(
  store: Store,
  nodeId: string,
  query: DeadLetterQuery & { now: number },
): Promise<Page<KeptDeadLetter>> {
  return await listPage(store.kv, ["deadLetter", nodeId], {
    limit: query.limit,
    cursor: query.cursor,
    pick: (_key, value) => {
      const record = value as DeadLetterRecord;
      const letter = record.expiresAt > query.now ? toPreview(record) : null;
      const isAsked = query.sessionId === undefined || letter?.sessionId === query.sessionId;
      return Promise.resolve(isAsked ? letter : null);
    },
  });
}

/** One dead letter with its whole content, or null. */
export async function readDeadLetter(
  store: Store,
  nodeId: string,
  asked: { messageId: string; now: number },
): Promise<KeptDeadLetter | null> {
  const record = (await store.kv.get<DeadLetterRecord>(deadLetterKey(nodeId, asked.messageId))).value;
  if (!record || record.expiresAt <= asked.now) return null;
  const { contentBytes: _bytes, truncated: _cut, ...letter } = toPreview(record);
  if (record.parts === 0) return letter;
  const whole = new Uint8Array(record.bytes);
  let offset = 0;
  for await (const part of store.kv.list<Uint8Array>({ prefix: ["deadLetterPart", nodeId, asked.messageId] })) {
    whole.set(part.value, offset);
    offset += part.value.length;
  }
  return { ...letter, content: toText(whole) };
}

/** The check on the node's record makes two deliveries at once wait for each other. */
async function countKept(tx: Change, nodeId: string, count: number): Promise<void> {
  const entry = await tx.get<NodeRecord>(nodeKey(nodeId));
  if (!entry.value) return;
  // Not by `putNode`: the time of its last change bounds the rescue.
  tx.put(entry, { ...entry.value, deadLettersKept: (entry.value.deadLettersKept ?? 0) + count });
  tx.announce(userTopic(entry.value.ownerId), ["node", nodeId]);
}

/** A check on each would be too many for one commit. */
async function findFresh(tx: Change, nodeId: string, letters: DeadLetter[]): Promise<DeadLetter[]> {
  const once = [...new Map(letters.map((letter) => [letter.messageId, letter])).values()];
  const fresh: DeadLetter[] = [];
  for (let at = 0; at < once.length; at += READ_AT_ONCE) {
    const some = once.slice(at, at + READ_AT_ONCE);
    const entries = await tx.kv.getMany<DeadLetterRecord[]>(
      some.map(({ messageId }) => deadLetterKey(nodeId, messageId)),
    );
    fresh.push(...some.filter((_, i) => entries[i]!.value === null));
  }
  return fresh;
}

/** Answers how many bytes it took. */
function setDeadLetter(tx: Change, nodeId: string, { content, ...facts }: DeadLetter): number {
  const bytes = toBytes(content);
  const whole = bytes.length <= CONTENT_PREVIEW_BYTES;
  const parts = whole ? [] : splitBytes(bytes, PART_BYTES);
  const record: DeadLetterRecord = {
    v: 1,
    facts: toBytes(JSON.stringify(facts)),
    preview: bytes.slice(0, boundary(bytes, CONTENT_PREVIEW_BYTES)),
    bytes: bytes.length,
    parts: parts.length,
    receivedAt: tx.now,
    expiresAt: tx.now + DEAD_LETTER_LIFE_MS,
  };
  const options = { expireIn: DEAD_LETTER_LIFE_MS };
  tx.set(deadLetterKey(nodeId, facts.messageId), record, options);
  parts.forEach((part, i) => tx.set(deadLetterPartKey(nodeId, facts.messageId, i), part, options));
  return bytes.length + record.facts.length;
}

function toPreview(record: DeadLetterRecord): KeptDeadLetter {
  const facts = storedFacts.parse(JSON.parse(toText(record.facts)));
  return {
    ...facts,
    content: toText(record.preview),
    ...(record.parts === 0 ? {} : { contentBytes: record.bytes, truncated: true }),
    receivedAt: toIso(record.receivedAt),
    expiresAt: toIso(record.expiresAt),
  };
}
