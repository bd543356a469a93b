/**
 * The messages of one session as the page holds them, pure. Stored messages are kept by seq, each once; what is shown
 * ends before the first hole, which is filled by asking the store. Open messages are live text on its way: shown
 * after the stored ones, replaced by the stored message of the same id, and never trusted to be complete.
 */
import type { Message, MessagePage, MessageRole, ToolMetadata } from "../wire/message.ts";

export interface OpenMessage {
  messageId: string;
  role: MessageRole;
  rev: number;
  text: string;
  toolMetadata: ToolMetadata | null;
}

export interface Transcript {
  /** A page has been read; before that only what the socket happened to send is here. */
  loaded: boolean;
  /** In rising order of seq; may have holes for a moment. */
  messages: readonly Message[];
  /** Messages older than the first one here exist in the store. */
  hasOlder: boolean;
  open: readonly OpenMessage[];
}

export interface LiveText {
  messageId: string;
  role: MessageRole;
  rev: number;
  at: number;
  text: string;
  toolMetadata?: ToolMetadata | null | undefined;
}

/** More open messages than a coding agent has tool calls at once; beyond it the oldest are forgotten. */
const OPEN_MAX = 100;

export const EMPTY: Transcript = { loaded: false, messages: [], hasOlder: false, open: [] };

/**
 * `page` put in its place. Pages may come in any order and twice. A newest page that does not join on to what is here
 * replaces it: the reader was away for long, and older pages can be read again.
 */
export function addPage(
  transcript: Transcript | undefined,
  page: MessagePage,
  kind: "newest" | "older" | "after",
): Transcript {
  const known = transcript ?? EMPTY;
  const pageFirst = page.items[0]?.seq ?? Infinity;
  const apart = kind === "newest" && page.items.length > 0 && pageFirst > (known.messages.at(-1)?.seq ?? 0) + 1;
  const before = apart ? { ...known, messages: [] } : known;
  const tellsOfOlder = kind !== "after" && pageFirst <= (before.messages[0]?.seq ?? Infinity);
  return addMessages({ ...before, loaded: true, hasOlder: tellsOfOlder ? page.hasMore : before.hasOlder }, page.items);
}

/** `items` put in their places; a message that is there already is replaced by its newer copy. */
export function addMessages(transcript: Transcript, items: readonly Message[]): Transcript {
  if (items.length === 0) return transcript;
  const stored = new Set(items.map((item) => item.messageId));
  return {
    ...transcript,
    messages: merge(transcript.messages, items),
    open: transcript.open.some((open) => stored.has(open.messageId))
      ? transcript.open.filter((open) => !stored.has(open.messageId))
      : transcript.open,
  };
}

/** One stored message from the socket. One from before what is loaded is left to the page that holds it. */
export function addStored(transcript: Transcript, message: Message): Transcript {
  const first = transcript.messages[0]?.seq;
  if (first !== undefined && message.seq < first && transcript.hasOlder) return transcript;
  return addMessages(transcript, [message]);
}

/** Live text at its offset. Text that does not join on is dropped: the next whole copy (offset 0) mends it. */
export function addLive(transcript: Transcript, live: LiveText): Transcript {
  if (holds(transcript.messages, live.messageId)) return transcript;
  const known = transcript.open.find((open) => open.messageId === live.messageId);
  if (known ? live.rev < known.rev || live.at > known.text.length : live.at > 0) return transcript;
  const next: OpenMessage = {
    messageId: live.messageId,
    role: live.role,
    rev: live.rev,
    text: (known?.text.slice(0, live.at) ?? "") + live.text,
    toolMetadata: live.toolMetadata ?? known?.toolMetadata ?? null,
  };
  const open = known
    ? transcript.open.map((each) => each === known ? next : each)
    : [...transcript.open, next].slice(-OPEN_MAX);
  return { ...transcript, open };
}

/** What may be shown: everything up to the first hole. */
export function withoutHoles({ messages, hasOlder }: Transcript): readonly Message[] {
  if (!hasOlder && messages[0] && messages[0].seq > 1) return [];
  const hole = messages.findIndex((message, index) => index > 0 && message.seq !== messages[index - 1]!.seq + 1);
  return hole < 0 ? messages : messages.slice(0, hole);
}

/** The seq after which messages are missing, given the last one that exists; null when nothing is missing. */
export function missingAfter(transcript: Transcript, lastSeq: number): number | null {
  if (!transcript.loaded) return null;
  const shown = withoutHoles(transcript);
  const last = shown.at(-1)?.seq ?? 0;
  return shown.length < transcript.messages.length || last < lastSeq ? last : null;
}

function merge(known: readonly Message[], items: readonly Message[]): readonly Message[] {
  const last = known.at(-1)?.seq ?? 0;
  if (items.length === 1 && items[0]!.seq === last + 1) return [...known, items[0]!];
  const bySeq = new Map(known.map((message) => [message.seq, message]));
  for (const item of items) bySeq.set(item.seq, newerCopy(bySeq.get(item.seq), item));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}

/** A cut copy never replaces the whole text that was asked for, unless the message itself changed. */
function newerCopy(known: Message | undefined, item: Message): Message {
  if (!known || !item.truncated || known.truncated) return item;
  return known.content.startsWith(item.content) ? known : item;
}

function holds(messages: readonly Message[], messageId: string): boolean {
  return messages.some((message) => message.messageId === messageId);
}
