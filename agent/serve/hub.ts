/** Which connection shows which session: one at a time, the newest. Hands each session's events to its connection. */
import { makeFrame, type SessionEvent } from "../../lib/wire/chat_engine.ts";
import type { Connection } from "./connection.ts";
import { REFUSALS } from "./errors.ts";

export class Hub {
  readonly #connections = new Set<Connection>();
  readonly #byId = new Map<string, Connection>();

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

  isWatched(sessionId: string): boolean {
    return this.#byId.has(sessionId);
  }

  deliver(event: SessionEvent): void {
    this.#byId.get(event.session_id)?.deliver(event);
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
