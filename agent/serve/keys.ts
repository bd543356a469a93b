/** Who may come in: the one API key, compared in constant time, and tickets for sockets of browsers, valid once. */
import { timingSafeEqual } from "node:crypto";
import { newSecret } from "../../lib/ids.ts";

const TICKET_MS = 30_000;
const TICKETS_MAX = 1_000;

/** Whether `given` is the key. Takes the same time for every text of any length. */
export async function isKey(given: string | null | undefined, key: string): Promise<boolean> {
  const [a, b] = await Promise.all([digest(given ?? ""), digest(key)]);
  return timingSafeEqual(a, b);
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

export class Tickets {
  readonly #untilMs = new Map<string, number>();

  /** A ticket that opens one socket within 30 s of `now`. The oldest goes when there are too many. */
  issue(now: number): string {
    for (const [ticket, untilMs] of this.#untilMs) {
      if (untilMs > now && this.#untilMs.size < TICKETS_MAX) break;
      this.#untilMs.delete(ticket);
    }
    const ticket = newSecret();
    this.#untilMs.set(ticket, now + TICKET_MS);
    return ticket;
  }

  /** Whether the ticket is valid at `now`; it is not any more afterwards. */
  redeem(ticket: string, now: number): boolean {
    const untilMs = this.#untilMs.get(ticket);
    this.#untilMs.delete(ticket);
    return untilMs !== undefined && now < untilMs;
  }
}
