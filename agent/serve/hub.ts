/** Which connection shows which session: one at a time, the newest. Hands each session's events to its connection. */
import { makeFrame, type SessionEvent } from "../../lib/wire/chat_engine.ts";
import type { Connection } from "./connection.ts";
import { REFUSALS } from "./errors.ts";

export class Hub {
  readonly #connections = new Set<Connection>();
  readonly #byId = new Map<string, Connection>();
  /** Connections that are ending a session which they need not show. */
  readonly #enders = new Set<{ sessionId: string; connection: Connection }>();

  get size(): number {
    return this.#connections.size;
  }

  add(connection: Connection): void {
    this.#connections.add(connection);
  }

  /** From now on `connection` gets the session's events; one that got them before is closed. */
  attach(sessionId: string, connection: Connection): void {
    const before = this.#byId.get(sessionId);
    this.#byId.set(sessionId, connection);
    if (!before || before === connection) return;
    before.send(makeFrame("error", { code: "session_opened_elsewhere", message: REFUSALS.session_opened_elsewhere }));
    before.close(4001, "session_opened_elsewhere");
  }

  /** `connection` is told how the session ends, beside the one that shows it; the answer stops that. */
  alsoTell(sessionId: string, connection: Connection): () => void {
    const ender = { sessionId, connection };
    this.#enders.add(ender);
    return () => this.#enders.delete(ender);
  }

  isWatched(sessionId: string): boolean {
    return this.#byId.has(sessionId);
  }

  deliver(event: SessionEvent): void {
    const shown = this.#byId.get(event.session_id);
    shown?.deliver(event);
    if (event.type !== "session_terminated") return;
    for (const { sessionId, connection } of this.#enders) {
      if (sessionId === event.session_id && connection !== shown) connection.deliver(event);
    }
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection);
    for (const [id, other] of this.#byId) if (other === connection) this.#byId.delete(id);
  }

  /** Tells everybody that the server ends, and closes. */
  shutDown(): void {
    for (const connection of [...this.#connections]) {
      connection.send(makeFrame("error", { code: "server_shutting_down", message: REFUSALS.server_shutting_down }));
      connection.close(1012, "server_shutting_down");
    }
  }
}
