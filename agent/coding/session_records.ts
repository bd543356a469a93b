/** What is kept of chat sessions, and what the session manager asks of whoever keeps it. */
import type { EndReason, HistoryMessage, SessionStatus } from "../../lib/wire/chat_engine.ts";

export interface SessionRecord {
  sessionId: string;
  userId: string;
  status: SessionStatus;
  createdAt: string;
  lastActiveAt: string;
  subprocessPid: number | null;
  messageCount: number;
  totalCostUsd: number;
  isResumable: boolean;
  terminatedReason: EndReason | null;
}

export interface MessagePage {
  /** In the order in which they were said. */
  messages: HistoryMessage[];
  hasMore: boolean;
}

export interface SessionStorage {
  save(record: SessionRecord): Promise<void>;
  get(sessionId: string): Promise<SessionRecord | null>;
  /** Those that are not terminated. */
  listActive(): Promise<SessionRecord[]>;
  /** Those, and the terminated ones that can be gone on with; newest activity first. */
  listOpen(): Promise<SessionRecord[]>;
  /** Adds each message, or replaces the one of the same id. */
  putMessages(sessionId: string, messages: HistoryMessage[]): Promise<void>;
  /** The newest messages, or those before `before` (a message id). */
  listMessages(sessionId: string, page: { before?: string; limit: number }): Promise<MessagePage>;
  /** Tool calls that an earlier life of this program left open are told as failed: nothing will end them any more. */
  closeLeftOpen(): Promise<void>;
  /** The coding agent's own id of the conversation. */
  getConversation(sessionId: string): Promise<string | null>;
  setConversation(sessionId: string, acpSessionId: string): Promise<void>;
  /** Puts a conversation aside that could not be gone on with. */
  archiveConversation(sessionId: string): Promise<void>;
}
