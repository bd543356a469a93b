/**
 * What the edge refused for good, or had to make room: kept on the node's disk until somebody sends it again or the
 * edge takes it over. Handing over leaves the rows here, marked, so that `hearth-agent outbox retry` still finds them.
 */
import type { Client, InStatement, Row } from "@libsql/client";
import type { DeadLetter } from "../../lib/wire/dead_letter.ts";
import type { Database } from "./database.ts";
import { jsonBytes, toWire } from "./fit.ts";
import { fromColumns, MESSAGE_NAMES } from "./message_columns.ts";
import type { OutboxRow } from "./outbox.ts";

export interface StoredDeadLetter {
  id: number;
  letter: DeadLetter;
}

export class DeadLetters {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** The oldest after `after` that the edge has not taken over, within the limits; at least one if there is any. */
  async oldest(limits: { after: number; maxRows: number; maxBytes: number }): Promise<StoredDeadLetter[]> {
    const found = await this.#db.client.execute({
      sql: `SELECT id, ${MESSAGE_NAMES}, status, reason, at FROM dead_letters
        WHERE handed_at IS NULL AND id > ? ORDER BY id LIMIT ?`,
      args: [limits.after, limits.maxRows],
    });
    const letters = found.rows.map(toDeadLetter);
    let bytes = 0;
    const tooMany = letters.findIndex(({ letter }, at) => {
      bytes += jsonBytes(letter) + 1;
      return at > 0 && bytes > limits.maxBytes;
    });
    return tooMany === -1 ? letters : letters.slice(0, tooMany);
  }

  /** The edge has these. */
  async markHanded(ids: number[]): Promise<void> {
    await this.#db.write([{
      sql: "UPDATE dead_letters SET handed_at = ? WHERE id IN (SELECT value FROM json_each(?))",
      args: [new Date().toISOString(), JSON.stringify(ids)],
    }]);
  }
}

/** How many the edge has not taken over, and how many ever had to make room for others. */
export async function countDeadLetters(client: Client): Promise<{ deadLetters: number; dropped: number }> {
  const found = await client.execute(
    `SELECT count(*) FILTER (WHERE handed_at IS NULL) AS dead, count(*) FILTER (WHERE reason = 'overflow') AS dropped
      FROM dead_letters`,
  );
  return { deadLetters: Number(found.rows[0]!.dead), dropped: Number(found.rows[0]!.dropped) };
}

/** The oldest of those that somebody wants to be sent again. */
export async function wantedAgain(client: Client, max: number): Promise<{ ids: number[]; messages: OutboxRow[] }> {
  const found = await client.execute({
    sql: `SELECT id, ${MESSAGE_NAMES} FROM dead_letters WHERE again_at IS NOT NULL ORDER BY id LIMIT ?`,
    args: [max],
  });
  return { ids: found.rows.map((row) => Number(row.id)), messages: found.rows.map(fromColumns) };
}

export function deleteDeadLetters(ids: number[]): InStatement {
  return {
    sql: "DELETE FROM dead_letters WHERE id IN (SELECT value FROM json_each(?))",
    args: [JSON.stringify(ids)],
  };
}

function toDeadLetter(row: Row): StoredDeadLetter {
  const message = fromColumns(row);
  const letter = {
    ...toWire(message),
    workspaceId: message.workspaceId,
    status: row.status === null ? null : Number(row.status),
    reason: String(row.reason).slice(0, 200) || "unknown",
    deadAt: String(row.at),
  };
  return { id: Number(row.id), letter };
}
