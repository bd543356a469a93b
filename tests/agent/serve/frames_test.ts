import { assert, assertEquals } from "@std/assert";
import {
  CLIENT_TYPES,
  type ClientFrame,
  extensionInfo,
  makeFrame,
  parseClientFrame,
  SERVER_TYPES,
  serverFrame,
  sessionSummary,
  toolUseDisplay,
} from "../../../lib/wire/chat_engine.ts";

const ID = crypto.randomUUID();

const CLIENT: ClientFrame[] = [
  { type: "user_message", session_id: ID, text: "hello", seq: 1 },
  { type: "interrupt", session_id: ID },
  { type: "create_session" },
  { type: "switch_session", session_id: ID },
  { type: "destroy_session", session_id: ID },
];

const ended = { session_id: ID, reason: "duration" as const };
const SERVER = [
  makeFrame("session_list", { sessions: [] }),
  makeFrame("session_ready", { session_id: ID, status: "ready", source: "pre-warmed" }),
  makeFrame("session_creating", { estimated_seconds: 5 }),
  makeFrame("session_history", { session_id: ID, messages: [], seq: 0, has_more: false }),
  makeFrame("message_received", { seq: 1 }),
  makeFrame("stream_delta", { session_id: ID, delta: "a", seq: 1 }),
  makeFrame("tool_use", { session_id: ID, tool_use_id: "t", tool: "edit", input: undefined, seq: 2 }),
  makeFrame("tool_result", { session_id: ID, tool_use_id: "t", result: "", status: "error", duration_ms: 1, seq: 3 }),
  makeFrame("response_complete", { session_id: ID, cost_usd: 0, turn_count: 1, seq: 4 }),
  makeFrame("stream_error", { session_id: ID, error: "e", partial_preserved: true, suggested_action: "retry", seq: 5 }),
  makeFrame("stream_interrupted", { session_id: ID, seq: 6 }),
  makeFrame("session_warning", { ...ended, remaining_seconds: 60, message: "m" }),
  makeFrame("session_restarting", { ...ended, message: "m" }),
  makeFrame("session_terminated", { ...ended, message: "m", resume_url: `/chat?resume=${ID}` }),
  makeFrame("error", { code: "invalid_json", message: "m" }),
];

Deno.test("TASK-003-AC2, TASK-009-AC1 the five client frames are read as what they are", () => {
  assertEquals(CLIENT.map(({ type }) => type), [...CLIENT_TYPES]);
  for (const frame of CLIENT) assertEquals(parseClientFrame(JSON.stringify(frame)), { frame });
});

Deno.test("TASK-003-AC3, TASK-002-AC2, TASK-009-AC3 the fifteen server frames have exactly their keys, and survive the way", () => {
  assertEquals(SERVER.map(({ type }) => type), SERVER_TYPES);
  assertEquals(SERVER.length, 15);
  for (const frame of SERVER) assertEquals(serverFrame.parse(JSON.parse(JSON.stringify(frame))), frame);
  const more = { session_id: ID, seq: 1, delta: "a", secret: "not for you" };
  assertEquals(Object.keys(makeFrame("stream_delta", more)), ["type", "session_id", "delta", "seq"]);
});

Deno.test("TASK-002-AC3 the three shapes that are shown have the agreed fields", () => {
  assertEquals(Object.keys(sessionSummary.shape), [
    "session_id",
    "status",
    "created_at",
    "last_active_at",
    "message_count",
    "total_cost_usd",
    "is_resumable",
  ]);
  assertEquals(Object.keys(toolUseDisplay.shape), ["tool_use_id", "tool", "input", "status", "result", "duration_ms"]);
  assertEquals(Object.keys(extensionInfo.shape), ["mcp_servers", "skills", "commands", "loaded_at"]);
});

Deno.test("TASK-003-AC4 empty and endless messages and ids that are none are refused", () => {
  const codeOf = (change: object) => {
    const read = parseClientFrame(JSON.stringify({ ...CLIENT[0], ...change }));
    return "error" in read ? read.error.code : null;
  };
  assertEquals(codeOf({}), null);
  assertEquals(codeOf({ text: "x".repeat(32_000) }), null);
  for (const change of [{ text: "" }, { text: " \n " }, { text: "x".repeat(32_001) }, { session_id: "abc123" }]) {
    assertEquals(codeOf(change), "invalid_message");
  }
  for (const seq of [0, -1, 1.5, "1", undefined]) assertEquals(codeOf({ seq }), "invalid_message");
});

Deno.test("TASK-009-AC2 text that is no JSON, and types that are none, have errors of their own", () => {
  const codes = ["{", "", '{"type":"dance"}', '{"a":1}', "[]", "null", "7"].map((raw) => {
    const read = parseClientFrame(raw);
    assert("error" in read, raw);
    return read.error.code;
  });
  assertEquals(codes.slice(0, 3), ["invalid_json", "invalid_json", "unknown_type"]);
  assertEquals(new Set(codes.slice(3)), new Set(["invalid_message"]));
});
