/** Follow-up prompts of a session, numbered in the order in which they were asked. */
import type { Prompt, PromptState } from "../wire/session.ts";
import type { Change, Versioned } from "./change.ts";
import { projectTopic, promptByIdKey, promptKey } from "./keys.ts";
import type { SessionRecord } from "./sessions.ts";
import type { Store } from "./store.ts";
import { toIso } from "./time.ts";

export interface PromptRecord extends Versioned {
  messageId: string;
  sessionId: string;
  n: number;
  text: string;
  /** The text is not the one that was asked first. */
  edited?: boolean;
  state: PromptState;
  /** The prompt into whose turn it was sent; `sent` with it: the agent has not told yet what became of it. */
  steeredInto?: string;
  by: string;
  at: number;
}

async function getPrompt(tx: Change, sessionId: string, n: number): Promise<Deno.KvEntryMaybe<PromptRecord>> {
  return await tx.get<PromptRecord>(promptKey(sessionId, n));
}

export async function getPromptById(
  tx: Change,
  sessionId: string,
  messageId: string,
): Promise<Deno.KvEntryMaybe<PromptRecord> | null> {
  const pointer = await tx.get<number>(promptByIdKey(sessionId, messageId));
  return pointer.value === null ? null : await getPrompt(tx, sessionId, pointer.value);
}

/** A prompt by its message id, or null. */
export async function readPrompt(store: Store, sessionId: string, messageId: string): Promise<PromptRecord | null> {
  const pointer = await store.kv.get<number>(promptByIdKey(sessionId, messageId));
  if (pointer.value === null) return null;
  return (await store.kv.get<PromptRecord>(promptKey(sessionId, pointer.value))).value;
}

export function putPrompt(
  tx: Change,
  entry: Deno.KvEntryMaybe<PromptRecord>,
  prompt: PromptRecord & { projectId?: string },
): void {
  const { projectId, ...record } = prompt;
  tx.put(entry, record);
  if (!entry.value) tx.set(promptByIdKey(record.sessionId, record.messageId), record.n);
  if (projectId) tx.announce(projectTopic(projectId), ["prompt", record.sessionId, record.messageId]);
}

/** The prompts that wait or run, and those that ended, newest last; at most a hundred. */
export async function listPrompts(store: Store, sessionId: string): Promise<PromptRecord[]> {
  const entries = store.kv.list<PromptRecord>({ prefix: ["prompt", sessionId] }, { reverse: true, limit: 100 });
  return (await Array.fromAsync(entries)).map((entry) => entry.value).reverse();
}

/** Whether its turn is still to come: a prompt on its way into a turn runs by itself when that turn is over. */
export function isWaiting(prompt: PromptRecord): boolean {
  return prompt.state === "queued" || (prompt.state === "sent" && prompt.steeredInto !== undefined);
}

/** The first prompt after those already taken that still waits; cancelled ones are passed over. */
export async function nextWaiting(tx: Change, session: SessionRecord): Promise<Deno.KvEntry<PromptRecord> | null> {
  for (let n = session.promptsTaken + 1; n <= session.promptCount; n++) {
    const entry = await getPrompt(tx, session.id, n);
    if (entry.value && isWaiting(entry.value)) return entry as Deno.KvEntry<PromptRecord>;
  }
  return null;
}

/** How many prompts wait, those taken back left out; counts no further than `limit` numbers. */
export async function countWaiting(tx: Change, session: SessionRecord, limit: number): Promise<number> {
  const range = {
    start: promptKey(session.id, session.promptsTaken + 1),
    end: promptKey(session.id, session.promptCount + 1),
  };
  const waiting = await Array.fromAsync(tx.kv.list<PromptRecord>(range, { limit }));
  return waiting.filter((entry) => isWaiting(entry.value)).length;
}

export function toPrompt(record: PromptRecord): Prompt {
  return {
    messageId: record.messageId,
    sessionId: record.sessionId,
    text: record.text,
    state: record.state,
    createdAt: toIso(record.at),
  };
}
