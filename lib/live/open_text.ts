/**
 * The open message of each session while its text grows: what a browser that starts to follow sees at once. Lossy by
 * design and held in memory; what is finished comes as a stored message of the same id.
 */
import { cutText } from "../bytes.ts";
import type { LiveFrame } from "../wire/control.ts";
import type { ServerFrame } from "../wire/feed.ts";

/** The open text kept of a message; those who come later than that see its beginning until it is stored. */
const TEXT_MAX = 256 * 1024;
/** Sessions held at once, and open messages of one session (tool calls may run at the same time). */
const SESSIONS_MAX = 1_000;
const OPEN_MAX = 20;

type LiveMessage = Extract<ServerFrame, { type: "message.live" }>;

interface OpenMessage {
  whole: LiveMessage;
  /** UTF-16 units that came, kept or not: where the next piece belongs. */
  length: number;
}

export class OpenTexts {
  readonly #sessions = new Map<string, Map<string, OpenMessage>>();

  /** Takes in a frame of an agent and returns it as browsers get it; null when it does not fit what is known. */
  accept(sessionId: string, frame: LiveFrame): LiveMessage | null {
    const open = this.#openOf(sessionId);
    const known = open.get(frame.messageId);
    if (frame.at > 0 && frame.at !== known?.length) return null;
    const before = frame.at === 0 ? "" : known!.whole.text;
    const text = before.length < frame.at ? before : cutText(before + frame.text, TEXT_MAX);
    const { workspaceId: _w, type: _t, ...rest } = frame;
    const whole: LiveMessage = { ...rest, type: "message.live", sessionId, at: 0, text };
    open.delete(frame.messageId);
    open.set(frame.messageId, { whole, length: frame.at + frame.text.length });
    if (open.size > OPEN_MAX) open.delete(open.keys().next().value!);
    return { ...whole, at: frame.at, text: frame.text };
  }

  /** Everything open in a session, whole, in the order of the last change. */
  list(sessionId: string): LiveMessage[] {
    return [...(this.#sessions.get(sessionId)?.values() ?? [])].map((open) => open.whole);
  }

  /** Forgets a message that was stored, or the whole session. */
  close(sessionId: string, messageId?: string): void {
    if (messageId === undefined) this.#sessions.delete(sessionId);
    else this.#sessions.get(sessionId)?.delete(messageId);
  }

  #openOf(sessionId: string): Map<string, OpenMessage> {
    const known = this.#sessions.get(sessionId) ?? new Map<string, OpenMessage>();
    this.#sessions.delete(sessionId);
    this.#sessions.set(sessionId, known);
    if (this.#sessions.size > SESSIONS_MAX) this.#sessions.delete(this.#sessions.keys().next().value!);
    return known;
  }
}
