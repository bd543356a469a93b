/** Messages that still grow: what a crash would cut short. */
import type { Database } from "./database.ts";
import type { OutboxRow } from "./outbox.ts";

export type OpenMessage = OutboxRow;

export class OpenMessages {
  constructor(_db: Database) {}
  /** Writes the message as it is now, in place of what was saved under its id. */
  save(_open: OpenMessage): Promise<void> {
    throw new Error("not made");
  }
  /** In the order in which they were begun. Close each with `outbox.enqueue([row], {closeOpen: messageId})`. */
  list(_workspaceId: string): Promise<OpenMessage[]> {
    throw new Error("not made");
  }
  remove(_messageId: string): Promise<void> {
    throw new Error("not made");
  }
}
