/**
 * Messages that still grow: what a crash would cut short. Saved now and then as they are; when one is finished, the
 * outbox takes it and deletes the saved one in a single transaction.
 */
import type { Database } from "./database.ts";
import { fromColumns, MESSAGE_NAMES, toColumns } from "./message_columns.ts";
import type { OutboxRow } from "./outbox.ts";

export type OpenMessage = OutboxRow;

export class OpenMessages {
  #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Writes the message as it is now, in place of what was saved under its id. */
  async save(open: OpenMessage): Promise<void> {
    await this.#db.write([{
      sql: `INSERT INTO open_messages (${MESSAGE_NAMES}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (message_id) DO UPDATE SET
          content = excluded.content, tool_metadata = excluded.tool_metadata, flags = excluded.flags`,
      args: toColumns({ ...open, content: open.content.toWellFormed() }),
    }]);
  }

  /** In the order in which they were begun. Close each with `outbox.enqueue([row], {closeOpen: messageId})`. */
  async list(workspaceId: string): Promise<OpenMessage[]> {
    const found = await this.#db.client.execute({
      sql: `SELECT ${MESSAGE_NAMES} FROM open_messages WHERE workspace_id = ? ORDER BY id`,
      args: [workspaceId],
    });
    return found.rows.map(fromColumns);
  }

  async remove(messageId: string): Promise<void> {
    await this.#db.write([{
      sql: "DELETE FROM open_messages WHERE message_id = ?",
      args: [messageId.toLowerCase()],
    }]);
  }
}
