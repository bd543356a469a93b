/** The cursor of a live socket: opaque to the browser; the versionstamp of a commit and the time it was sent. */
import { FEED_START } from "../store/feed.ts";

/** An entry of the feed lives an hour; a cursor older than this may have missed entries that are gone. */
const CURSOR_MAX_AGE_MS = 50 * 60_000;

export interface Cursor {
  versionstamp: string;
  at: number;
}

export function writeCursor(cursor: Cursor): string {
  return `${cursor.versionstamp}.${cursor.at.toString(36)}`;
}

/** The cursor in `text`, or null when it is none. */
export function readCursor(text: string): Cursor | null {
  const match = /^([0-9a-f]{20})\.([0-9a-z]{1,11})$/.exec(text);
  return match ? { versionstamp: match[1]!, at: parseInt(match[2]!, 36) } : null;
}

export function isFresh(cursor: Cursor, now: number): boolean {
  return now - cursor.at < CURSOR_MAX_AGE_MS && cursor.at <= now + 60_000 && cursor.versionstamp >= FEED_START;
}
