/**
 * Commands of the edge, durable before they are acknowledged. The last seq and the command are written in one
 * transaction, so a command is either not known at all or will be applied, whenever the agent dies.
 */
import type { Database } from "./database.ts";
import { type CommandFrame, commandFrame } from "../../lib/wire/control.ts";

/** How many applied commands are remembered by their id. */
const REMEMBERED = 1_000;

export class Inbox {
  #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Stores seq and command in one transaction. False when the command's id or its seq is known already. */
  store(frame: CommandFrame): Promise<boolean> {
    return this.#db.exclusive(async () => {
      if (frame.seq <= await this.lastSeq() || await this.#knows(frame.commandId)) return false;
      await this.#db.write([
        {
          sql: "INSERT INTO commands (seq, command_id, frame) VALUES (?, ?, ?)",
          args: [frame.seq, frame.commandId, JSON.stringify(frame)],
        },
        {
          sql: `INSERT INTO meta (name, value) VALUES ('lastSeq', ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
          args: [String(frame.seq)],
        },
      ]);
      return true;
    });
  }

  /** The seq of the last command stored; 0 before the first. */
  async lastSeq(): Promise<number> {
    const found = await this.#db.client.execute("SELECT value FROM meta WHERE name = 'lastSeq'");
    return Number(found.rows[0]?.value ?? 0);
  }

  /** Stored and not applied, in order. One that another version of the agent stored and this one cannot read does nothing. */
  async pending(): Promise<CommandFrame[]> {
    const found = await this.#db.client.execute(
      "SELECT seq, command_id, frame FROM commands WHERE applied = 0 ORDER BY seq",
    );
    return found.rows.map((row) => {
      const parsed = commandFrame.safeParse(JSON.parse(String(row.frame)));
      if (parsed.success) return parsed.data;
      return { type: "command", commandId: String(row.command_id), seq: Number(row.seq), kind: "noop" };
    });
  }

  async applied(seq: number): Promise<void> {
    await this.#db.write([
      { sql: "UPDATE commands SET applied = 1 WHERE seq = ?", args: [seq] },
      { sql: "DELETE FROM commands WHERE applied = 1 AND seq < ?", args: [seq - REMEMBERED] },
    ]);
  }

  async #knows(commandId: string): Promise<boolean> {
    const found = await this.#db.client.execute({
      sql: "SELECT 1 FROM commands WHERE command_id = ?",
      args: [commandId],
    });
    return found.rows.length > 0;
  }
}
