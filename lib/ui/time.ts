/** Times and durations in words, as pure functions of `now`, so that the server and the browser say the same. */

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

let format: Intl.DateTimeFormat | undefined;

/** "now", "5 min ago", "3 h ago", "2 d ago", then the date. */
export function relativeTime(at: string, now: number): string {
  const age = now - Date.parse(at);
  if (!Number.isFinite(age)) return "";
  if (age < 45_000) return "now";
  if (age < HOUR_MS) return `${Math.max(1, Math.round(age / MINUTE_MS))} min ago`;
  if (age < DAY_MS) return `${Math.round(age / HOUR_MS)} h ago`;
  if (age < 7 * DAY_MS) return `${Math.round(age / DAY_MS)} d ago`;
  return at.slice(0, 10);
}

/** The moment itself: in the reader's zone once the browser runs, in UTC as the server writes it. */
export function exactTime(at: string, local: boolean): string {
  if (!local) return `${at.slice(0, 19).replace("T", " ")} UTC`;
  // Made once: making one takes longer than everything else about a message.
  format ??= new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const moment = Date.parse(at);
  return Number.isFinite(moment) ? format.format(moment) : at;
}

/** "<0.1 s", "0.4 s", "12 s", "3 min 20 s", "1 h 5 min". */
export function duration(ms: number): string {
  if (ms < 100) return "<0.1 s";
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`;
}

/** What is left until `at`: "29 min", "40 s", or "" when it has passed. */
export function remaining(at: string, now: number): string {
  const left = Date.parse(at) - now;
  if (!(left > 0)) return "";
  return left < MINUTE_MS ? `${Math.ceil(left / 1000)} s` : duration(Math.ceil(left / MINUTE_MS) * MINUTE_MS);
}
