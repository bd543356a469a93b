/**
 * The chat engine's socket and REST, both ends: five frames from the client, fifteen from the server, and three shapes
 * that are shown. A factory makes exactly the keys of its frame, in the order of the schema, and nothing else.
 */
import { z } from "zod";
import { count, finite, text, timestamp, uuid } from "./common.ts";
import { PROMPT_MAX } from "./limits.ts";
import { messageRole } from "./message.ts";

/** Largest frame that a client may send. */
export const CLIENT_FRAME_MAX_BYTES = 1024 * 1024;

const seq = z.int().min(1);

export const sessionStatus = z.enum(["creating", "active", "idle", "terminated"]);
export type SessionStatus = z.infer<typeof sessionStatus>;

export const sessionSummary = z.object({
  session_id: uuid,
  status: sessionStatus,
  created_at: timestamp,
  last_active_at: timestamp,
  message_count: count,
  total_cost_usd: finite,
  is_resumable: z.boolean(),
});
export type SessionSummary = z.infer<typeof sessionSummary>;

export const toolUseDisplay = z.object({
  tool_use_id: z.string(),
  tool: z.string(),
  input: z.unknown(),
  status: z.enum(["executing", "success", "error"]),
  result: z.string().nullable(),
  duration_ms: count.nullable(),
});
export type ToolUseDisplay = z.infer<typeof toolUseDisplay>;

/** What was found on disk. Of environment variables only the names are told. */
export const extensionInfo = z.object({
  mcp_servers: z.record(
    z.string(),
    z.object({ command: z.string(), args: z.array(z.string()), env: z.array(z.string()) }),
  ),
  skills: z.array(z.object({ name: z.string(), path: z.string() })),
  commands: z.array(z.object({ name: z.string(), path: z.string() })),
  loaded_at: timestamp,
});
export type ExtensionInfo = z.infer<typeof extensionInfo>;

export const clientFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("user_message"), session_id: uuid, text: text(PROMPT_MAX), seq }),
  z.object({ type: z.literal("interrupt"), session_id: uuid }),
  z.object({ type: z.literal("create_session") }),
  z.object({ type: z.literal("switch_session"), session_id: uuid }),
  z.object({ type: z.literal("destroy_session"), session_id: uuid }),
]);
export type ClientFrame = z.infer<typeof clientFrame>;

export const CLIENT_TYPES: readonly string[] = clientFrame.options.map((option) => option.shape.type.value);

export const errorCode = z.enum([
  "invalid_json",
  "invalid_message",
  "unknown_type",
  "query_in_progress",
  "session_not_found",
  "not_resumable",
  "capacity_exceeded",
  "internal_error",
  "session_opened_elsewhere",
  "server_shutting_down",
]);
export type EngineErrorCode = z.infer<typeof errorCode>;

export const sessionSource = z.enum(["pre-warmed", "cold-start"]);
export type SessionSource = z.infer<typeof sessionSource>;
export const suggestedAction = z.enum(["retry", "resume", "new_session", "check_key", "none"]);
export type SuggestedAction = z.infer<typeof suggestedAction>;
export const endReason = z.enum(["duration", "memory_limit", "crashed", "idle", "user_requested"]);
export type EndReason = z.infer<typeof endReason>;

export const historyMessage = z.object({
  message_id: uuid,
  role: messageRole,
  content: z.string(),
  tool: toolUseDisplay.optional(),
  created_at: timestamp,
  partial: z.boolean().optional(),
});
export type HistoryMessage = z.infer<typeof historyMessage>;

const shapes = {
  session_list: { sessions: z.array(sessionSummary) },
  session_ready: {
    session_id: uuid,
    status: z.enum(["ready", "resumed", "new"]),
    source: sessionSource,
    message: z.string().optional(),
  },
  session_creating: { estimated_seconds: count },
  session_history: { session_id: uuid, messages: z.array(historyMessage), seq: count, has_more: z.boolean() },
  message_received: { seq },
  stream_delta: { session_id: uuid, delta: z.string(), seq },
  tool_use: { session_id: uuid, tool_use_id: z.string(), tool: z.string(), input: z.unknown(), seq },
  tool_result: {
    session_id: uuid,
    tool_use_id: z.string(),
    result: z.string(),
    status: z.enum(["success", "error"]),
    duration_ms: count,
    seq,
  },
  response_complete: { session_id: uuid, cost_usd: finite, turn_count: count, seq },
  stream_error: {
    session_id: uuid,
    error: z.string(),
    partial_preserved: z.boolean(),
    suggested_action: suggestedAction,
    seq,
  },
  stream_interrupted: { session_id: uuid, seq },
  session_warning: { session_id: uuid, reason: endReason, remaining_seconds: count, message: z.string() },
  session_restarting: { session_id: uuid, reason: endReason, message: z.string() },
  session_terminated: { session_id: uuid, reason: endReason, message: z.string(), resume_url: z.string() },
  error: { code: errorCode, message: z.string() },
} as const;

type Shapes = typeof shapes;
export type ServerType = keyof Shapes;
type FrameOf<T extends ServerType> = { type: T } & z.infer<z.ZodObject<Shapes[T]>>;
export type ServerFrame = { [T in ServerType]: FrameOf<T> }[ServerType];
/** What happens in one session. */
export type SessionEvent = Extract<ServerFrame, { session_id: string }>;

export const SERVER_TYPES = Object.keys(shapes) as ServerType[];

const frameShape = <T extends ServerType>(type: T) => z.object({ type: z.literal(type), ...shapes[type] });

export const serverFrame = z.discriminatedUnion("type", [
  frameShape("session_list"),
  frameShape("session_ready"),
  frameShape("session_creating"),
  frameShape("session_history"),
  frameShape("message_received"),
  frameShape("stream_delta"),
  frameShape("tool_use"),
  frameShape("tool_result"),
  frameShape("response_complete"),
  frameShape("stream_error"),
  frameShape("stream_interrupted"),
  frameShape("session_warning"),
  frameShape("session_restarting"),
  frameShape("session_terminated"),
  frameShape("error"),
]);

/** A frame of this type with exactly the keys of its shape; what else `fields` holds is left out. */
export function makeFrame<T extends ServerType>(type: T, fields: Omit<FrameOf<T>, "type">): FrameOf<T> {
  const given: Record<string, unknown> = fields;
  const kept = Object.keys(shapes[type]).filter((key) => given[key] !== undefined || key === "input");
  const entries = kept.map((key) => [key, given[key] ?? null]);
  return { type, ...Object.fromEntries(entries) };
}

export type ParsedClientFrame = { frame: ClientFrame } | { error: FrameOf<"error"> };

/** A client's text as a frame, or the error that answers it. */
export function parseClientFrame(raw: string): ParsedClientFrame {
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    return { error: makeFrame("error", { code: "invalid_json", message: "The frame is no valid JSON." }) };
  }
  const type = z.looseObject({ type: z.string() }).safeParse(value);
  if (type.success && !CLIENT_TYPES.includes(type.data.type)) {
    return { error: makeFrame("error", { code: "unknown_type", message: "There is no frame of this type." }) };
  }
  const read = clientFrame.safeParse(value);
  if (read.success) return { frame: read.data };
  const issue = read.error.issues[0];
  const where = issue?.path.join(".") || "type";
  const message = `The frame is not valid: ${where}: ${issue?.message ?? "does not fit"}.`;
  return { error: makeFrame("error", { code: "invalid_message", message }) };
}

/** A server's text as a frame; null for one that this client does not know. */
export function parseServerFrame(raw: string): ServerFrame | null {
  try {
    const read = serverFrame.safeParse(JSON.parse(raw));
    return read.success ? read.data : null;
  } catch {
    return null;
  }
}
