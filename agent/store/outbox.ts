/** The durable queue of messages on their way to the edge. */
import type { Logger } from "../../lib/log.ts";
import type { MessageFlags, MessageRole, ToolMetadata } from "../../lib/wire/message.ts";
import type { Database } from "./database.ts";

export interface OutboxRow {
  messageId: string;
  workspaceId: string;
  projectId: string | null;
  sessionId: string;
  role: MessageRole;
  content: string;
  toolMetadata: ToolMetadata | null;
  flags: MessageFlags | null;
  /** ISO 8601. */
  createdAt: string;
}

export interface StoredRow extends OutboxRow {
  id: number;
  /** Size of the message as it travels, in bytes of JSON. */
  bytes: number;
  attempts: number;
}

export interface OutboxOptions {
  maxRows: number;
  maxBytes: number;
  maxContentBytes: number;
  log: Logger;
}

export interface OutboxCounts {
  outboxDepth: number;
  deadLetters: number;
  dropped: number;
}

export interface NewRows {
  workspaceId: string;
  rows: number;
  bytes: number;
}

export class Outbox {
  constructor(_db: Database, _options: OutboxOptions) {}
  /** Resolves when the rows are durable. `closeOpen`: this message's open row goes in the same transaction. */
  enqueue(_rows: OutboxRow[], _options: { closeOpen?: string } = {}): Promise<{ evicted: number }> {
    throw new Error("not made");
  }
  depth(_workspaceId?: string): Promise<number> {
    throw new Error("not made");
  }
  counts(): Promise<OutboxCounts> {
    throw new Error("not made");
  }
  workspacesWithRows(): Promise<string[]> {
    throw new Error("not made");
  }
  /** Calls `listener` after rows became durable. Answers the function that ends it. */
  onRows(_listener: (rows: NewRows) => void): () => void {
    throw new Error("not made");
  }
  /** Resolves when no row of the workspace is left (sent, or a dead letter). Rejects with the signal's reason. */
  whenEmpty(_workspaceId: string, _signal?: AbortSignal): Promise<void> {
    throw new Error("not made");
  }
}
