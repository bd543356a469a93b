import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  closeInterrupted,
  endTurn,
  newTranscript,
  recordPermission,
  reduce,
  startTurn,
  type Transcript,
} from "../../../agent/coding/transcript.ts";
import { readUpdate, type SessionUpdate } from "../../../agent/coding/updates.ts";
import type { OutboxRow } from "../../../agent/store/outbox.ts";
import { byteLength } from "../../../lib/bytes.ts";
import { isUuid, newId } from "../../../lib/ids.ts";
import { batchMessage } from "../../../lib/wire/message.ts";

const IDS = { workspaceId: newId(), projectId: newId(), sessionId: newId(), cwd: "/home/ada/checkout" };
const NOW = Date.UTC(2026, 6, 1, 12);

/** Updates as they come over the wire, one a second; the last step may end the turn. */
function play(updates: Record<string, unknown>[], start: Transcript = newTranscript(IDS)) {
  let state = start;
  let now = NOW;
  const finished: OutboxRow[] = [];
  const opens: (OutboxRow | null)[] = [];
  for (const update of updates) {
    const step = reduce(state, read(update), { now, newId });
    state = step.state;
    finished.push(...step.finished);
    opens.push(step.open);
    now += 1_000;
  }
  return { state, finished, opens, now };
}

function playTurn(updates: Record<string, unknown>[], options = { interrupted: false }) {
  const played = play(updates, startTurn(newTranscript(IDS), "Do it"));
  const end = endTurn(played.state, { now: played.now, newId, ...options });
  return { ...played, state: end.state, finished: [...played.finished, ...end.finished] };
}

function read(update: Record<string, unknown>): SessionUpdate {
  const parsed = readUpdate({ sessionId: "acp-1", update });
  assert(parsed);
  return parsed.update;
}

const text = (kind: string, value: string, messageId?: string) => ({
  sessionUpdate: kind,
  content: { type: "text", text: value },
  ...(messageId ? { messageId } : {}),
});
const says = (value: string, messageId?: string) => text("agent_message_chunk", value, messageId);
const thinks = (value: string, messageId?: string) => text("agent_thought_chunk", value, messageId);
const shape = (rows: OutboxRow[]) => rows.map((row) => [row.role, row.content]);

Deno.test("T023-1 a user message becomes a row with the role user and its text", () => {
  const { finished } = playTurn([text("user_message_chunk", "And the "), text("user_message_chunk", "tests")]);
  assertEquals(shape(finished), [["user", "And the tests"]]);
});

Deno.test("T023-2 chunks of one answer become one assistant row with all the text", () => {
  const { finished, opens } = playTurn([says("Hel", "m1"), says("lo, ", "m1"), says("world", "m1")]);
  assertEquals(shape(finished), [["assistant", "Hello, world"]]);
  assertEquals(opens.map((row) => row?.content), ["Hel", "Hello, ", "Hello, world"]);
  assertEquals(new Set([...opens.map((row) => row?.messageId), finished[0]?.messageId]).size, 1);
});

Deno.test("T023-3 a tool call becomes a row with tool, target and status", () => {
  const { finished } = playTurn([
    {
      sessionUpdate: "tool_call",
      toolCallId: "t1",
      title: "Write README.md",
      kind: "edit",
      status: "pending",
      locations: [{ path: "/home/ada/checkout/README.md" }],
      rawInput: { path: "README.md" },
    },
    { sessionUpdate: "tool_call_update", toolCallId: "t1", status: "in_progress" },
    {
      sessionUpdate: "tool_call_update",
      toolCallId: "t1",
      status: "completed",
      content: [{ type: "diff", path: "/home/ada/checkout/README.md", oldText: "one\n", newText: "one\ntwo\n" }],
    },
  ]);
  assertEquals(shape(finished), [["tool", "Write README.md"]]);
  assertEquals(finished[0]?.toolMetadata, {
    tool: "edit",
    target: "README.md",
    status: "completed",
    toolCallId: "t1",
    durationMs: 2_000,
    input: { path: "README.md" },
    diff: "--- README.md\n+++ README.md\n@@ -1,1 +1,2 @@\n one\n+two\n",
  });
});

Deno.test("T023-4 a notification without an update, or with empty text, becomes no row", () => {
  for (const empty of [null, undefined, {}, { sessionId: "s" }, { sessionId: "s", update: {} }]) {
    assertEquals(readUpdate(empty), null);
  }
  assertEquals(playTurn([]).finished, []);
  assertEquals(playTurn([says(""), says(" \n"), { sessionUpdate: "plan", entries: [] }]).finished, []);
});

Deno.test("T023-5 every message of a mixed stream is told, in the order in which they were finished", () => {
  const { finished } = playTurn([
    thinks("Let me look", "m1"),
    says("I will ", "m1"),
    says("write", "m1"),
    { sessionUpdate: "tool_call", toolCallId: "t1", title: "Run", kind: "execute", rawInput: { command: "make" } },
    { sessionUpdate: "tool_call", toolCallId: "t2", title: "Read", kind: "read" },
    { sessionUpdate: "tool_call_update", toolCallId: "t2", status: "completed" },
    {
      sessionUpdate: "tool_call_update",
      toolCallId: "t1",
      status: "failed",
      content: [{ type: "content", content: { type: "text", text: "make: no rule" } }],
    },
    { sessionUpdate: "plan", entries: [{ content: "A", status: "completed" }, { content: "B", status: "pending" }] },
    says("Done", "m1"),
    says("Bye", "m2"),
  ]);
  assertEquals(shape(finished), [
    ["thinking", "Let me look"],
    ["assistant", "I will write"],
    ["tool", "Read"],
    ["tool", "make: no rule"],
    ["plan", "- [x] A\n- [ ] B"],
    ["assistant", "Done"],
    ["assistant", "Bye"],
  ]);
  assertEquals(finished[3]?.toolMetadata?.target, "make");
  assertEquals(finished[3]?.toolMetadata?.status, "failed");
});

Deno.test("T023-6 a row's time is when its message began", () => {
  const { finished } = playTurn([says("a", "m1"), says("b", "m1"), says("c", "m2")]);
  assertEquals(finished.map((row) => row.createdAt), [
    new Date(NOW).toISOString(),
    new Date(NOW + 2_000).toISOString(),
  ]);
});

Deno.test("T023-7 each row has a UUID of its own, and the ids of its workspace, project and session", () => {
  const { finished } = playTurn([says("a", "m1"), thinks("b"), says("c", "m3")]);
  assertEquals(new Set(finished.map((row) => row.messageId)).size, 3);
  for (const row of finished) {
    assert(isUuid(row.messageId));
    assertEquals([row.workspaceId, row.projectId, row.sessionId], [IDS.workspaceId, IDS.projectId, IDS.sessionId]);
    assert(batchMessage.safeParse({ ...row, timestamp: row.createdAt }).success);
  }
});

Deno.test("an update of a call that was never announced makes the call; later updates of a finished one make none", () => {
  const { finished, state } = playTurn([
    { sessionUpdate: "tool_call_update", toolCallId: "t1", title: "Fetch", rawOutput: { output: "200" } },
    { sessionUpdate: "tool_call_update", toolCallId: "t1", status: "completed" },
    { sessionUpdate: "tool_call_update", toolCallId: "t1", title: "Other", status: "failed" },
  ]);
  assertEquals(shape(finished), [["tool", "200"]]);
  assertEquals(state.tools.size, 0, "none is open");
});

Deno.test("unknown and malformed kinds are ignored and counted", () => {
  const { finished, state } = playTurn([
    says("a"),
    { sessionUpdate: "from_the_future", what: 1 },
    { sessionUpdate: "plan", entries: "none" },
    { sessionUpdate: "usage_update", used: 1, size: 2 },
    says("b"),
  ]);
  assertEquals(shape(finished), [["assistant", "ab"]]);
  assertEquals(state.ignored, { from_the_future: 1, plan: 1 });
});

Deno.test("text repeated under a new id after a dropped stream is kept and marked as a retry", () => {
  const { finished } = playTurn([
    says("The tests fail because of", "m1"),
    says("The tests fail because of a typo.", "m2"),
    says("Next.", "m3"),
  ]);
  assertEquals(finished.map((row) => row.flags), [null, { retry: true }, null]);
});

Deno.test("a prompt that the coding agent echoes makes no second message of it", () => {
  assertEquals(shape(playTurn([text("user_message_chunk", "Do it"), says("ok")]).finished), [["assistant", "ok"]]);
});

Deno.test("a turn that is interrupted marks its text and fails its open tool calls; a clean one leaves them open", () => {
  const updates = [{ sessionUpdate: "tool_call", toolCallId: "t1", title: "Build" }, says("Half an ans", "m1")];
  const cut = playTurn(updates, { interrupted: true });
  assertEquals(shape(cut.finished), [["assistant", "Half an ans"], ["tool", "Build"]]);
  assertEquals(cut.finished.map((row) => row.flags), [{ interrupted: true }, { interrupted: true }]);
  assertEquals(cut.finished[1]?.toolMetadata?.status, "failed");
  const clean = playTurn(updates);
  assertEquals(shape(clean.finished), [["assistant", "Half an ans"]]);
  assertEquals([...clean.state.tools.keys()], ["t1"]);
  assertEquals(clean.state.lastAnswer, "Half an ans");
});

Deno.test("a message left open by a crash is closed as it stands, marked as interrupted", () => {
  const { opens } = play([{ sessionUpdate: "tool_call", toolCallId: "t1", title: "Build" }, says("Half")]);
  const [tool, answer] = opens.map((row) => row && closeInterrupted(row));
  assertEquals([tool?.toolMetadata?.status, tool?.flags], ["failed", { interrupted: true }]);
  assertEquals([answer?.content, answer?.flags], ["Half", { interrupted: true }]);
});

Deno.test("a permission is recorded in the tool's metadata, also when it is asked before the call is announced", () => {
  const asked = recordPermission(newTranscript(IDS), {
    call: { toolCallId: "t1", title: "rm -r build" },
    outcome: "allow_once",
    by: "policy",
    refusal: null,
  }, { now: NOW, newId });
  const { finished } = play([{ sessionUpdate: "tool_call", toolCallId: "t1", status: "completed" }], asked.state);
  assertEquals(finished[0]?.content, "rm -r build");
  assertEquals(finished[0]?.toolMetadata?.permission, { outcome: "allow_once", by: "policy" });
});

Deno.test("huge inputs and diffs are cut so that the metadata stays within its limit, and the cut is counted", () => {
  const { finished } = playTurn([{
    sessionUpdate: "tool_call",
    toolCallId: "t1",
    title: "Write big.txt",
    kind: "edit",
    status: "completed",
    rawInput: { path: "big.txt", text: "\u0001€".repeat(5_000) },
    content: [{ type: "diff", path: "big.txt", oldText: null, newText: "\u0001€\n".repeat(20_000) }],
  }]);
  const row = finished[0]!;
  assert(byteLength(JSON.stringify(row.toolMetadata)) <= 16 * 1024);
  assert(byteLength(JSON.stringify(row.toolMetadata?.input)) <= 4 * 1024);
  assertStringIncludes(row.toolMetadata?.diff ?? "", "+++ big.txt");
  assert((row.flags?.truncatedBytes ?? 0) > 50_000);
});

Deno.test("a model that is tried again is one growing message, which the answer ends", () => {
  const busy = (n: number): SessionUpdate => ({ sessionUpdate: "model_retry", text: `Busy (${n} of 4)` });
  let state = startTurn(newTranscript(IDS), "Do it");
  const ids: (string | undefined)[] = [];
  for (const n of [1, 2]) {
    const step = reduce(state, busy(n), { now: NOW, newId });
    state = step.state;
    ids.push(step.open?.messageId);
    assertEquals([step.open?.role, step.open?.content], ["system", `Busy (${n} of 4)`]);
  }
  assertEquals(ids[0], ids[1]);
  const answer = reduce(state, read(says("Here I am", "m1")), { now: NOW, newId });
  assertEquals(shape(answer.finished), [["system", "Busy (2 of 4)"]]);
});

Deno.test("a command's output is told without the fence around it, other output as it came", () => {
  const call = (text: string) => ({
    sessionUpdate: "tool_call",
    toolCallId: newId(),
    status: "completed",
    content: [{ type: "content", content: { type: "text", text } }],
  });
  const outputs = ["```console\nhello\nyou\n```", "```console\nopen", "see ```a``` and\n```\nb\n```"];
  const { finished } = playTurn(outputs.map(call));
  assertEquals(finished.map((row) => row.content), ["hello\nyou", outputs[1], outputs[2]]);
});

Deno.test("what a command says bit by bit is its output where nothing else is told of it", () => {
  const call = { sessionUpdate: "tool_call", toolCallId: "c1", title: "make", kind: "execute", status: "in_progress" };
  const update = (data: string, fields: Record<string, unknown> = {}) => ({
    sessionUpdate: "tool_call_update",
    toolCallId: "c1",
    _meta: { terminal_output_delta: { data, terminal_id: "c1" } },
    ...fields,
  });
  const said = [call, update("one\n"), update("two\n", { status: "completed" })];
  assertEquals(playTurn(said).finished[0]?.content, "one\ntwo");
  const content = [{ type: "content", content: { type: "text", text: "Made it." } }];
  const shown = [call, update("one\n"), update("", { status: "completed", content })];
  assertEquals(playTurn(shown).finished[0]?.content, "Made it.");
});

Deno.test("a command is named by what is run, not by the files that it may touch", () => {
  const fields = { toolCallId: "c1", kind: "execute", locations: [{ path: "/home/ada/checkout/a.txt" }] };
  const call = { sessionUpdate: "tool_call", ...fields, status: "completed", rawInput: { command: "make a.txt" } };
  assertEquals(playTurn([call]).finished[0]?.toolMetadata?.target, "make a.txt");
});

Deno.test("a diff that was shown when the call was permitted stays when a sentence takes its place", () => {
  const diff = { type: "diff", path: "/home/ada/checkout/a.txt", oldText: null, newText: "hello\n" };
  const update = (fields: Record<string, unknown>) => ({
    sessionUpdate: "tool_call_update",
    toolCallId: "c1",
    ...fields,
  });
  const written = { type: "content", content: { type: "text", text: "Wrote it." } };
  const { finished } = playTurn([update({ content: [diff] }), update({ status: "completed", content: [written] })]);
  assertEquals(finished[0]?.content, "Wrote it.");
  assertStringIncludes(finished[0]?.toolMetadata?.diff ?? "", "+hello");
});
