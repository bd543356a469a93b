/** Commands of the edge, durable before they are acknowledged. */
import type { CommandFrame } from "../../lib/wire/control.ts";
import type { Database } from "./database.ts";

export class Inbox {
  constructor(_db: Database) {}
  /** Stores seq and command in one transaction. False when either is known already. */
  store(_frame: CommandFrame): Promise<boolean> {
    throw new Error("not made");
  }
  lastSeq(): Promise<number> {
    throw new Error("not made");
  }
  /** Stored and not applied, in order. */
  pending(): Promise<CommandFrame[]> {
    throw new Error("not made");
  }
  applied(_seq: number): Promise<void> {
    throw new Error("not made");
  }
}
