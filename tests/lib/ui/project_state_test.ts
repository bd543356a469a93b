import { assert, assertEquals } from "@std/assert";
import { type Action, type ProjectState, reduce } from "../../../lib/ui/project_state.ts";
import { missingAfter, withoutHoles } from "../../../lib/ui/transcript.ts";
import { boardColumns, composerOf, isArchived, sessionsByActivity, waitingPrompts } from "../../../lib/ui/views.ts";
import type { ServerFrame } from "../../../lib/wire/feed.ts";
import type { Message } from "../../../lib/wire/message.ts";
import type { PermissionRequest } from "../../../lib/wire/permission.ts";
import { ago, id, makeMessage, makeSession, makeTask } from "../../islands/fixture_data.ts";
import { initialState } from "../../../islands/_project.ts";

const TASK = makeTask(10, { status: "in_progress", run: 1 });
const SESSION = makeSession(TASK, { status: "active", turn: "running", lastSeq: 3 });
const OTHER = makeSession(makeTask(11), { lastSeq: 2 });
const THREE = [1, 2, 3].map((seq) => makeMessage(seq));

function start(messages: Message[] = THREE, hasMore = false): ProjectState {
  return initialState({
    projectId: id(2),
    userId: id(1),
    sessions: [SESSION, OTHER],
    sessionsNextCursor: null,
    tasks: [TASK],
    selected: { session: SESSION, page: { items: messages, hasMore, lastSeq: messages.at(-1)?.seq ?? 0 } },
    cursor: "c0",
    connectionUrl: "/ws",
  });
}

function run(state: ProjectState, ...frames: ServerFrame[]): ProjectState {
  return frames.reduce((before, frame) => reduce(before, { type: "frame", frame }), state);
}

function arrival(seq: number, part: Partial<Message> = {}, cursor?: string): ServerFrame {
  return { type: "message.new", sessionId: SESSION.id, message: makeMessage(seq, part), cursor };
}

function live(text: string, at: number, rev: number, messageId = id(999)): ServerFrame {
  return { type: "message.live", sessionId: SESSION.id, messageId, role: "assistant", rev, at, text };
}

function shown(state: ProjectState, sessionId = SESSION.id): number[] {
  return withoutHoles(state.transcripts[sessionId]!).map((message) => message.seq);
}

Deno.test("frames played twice, in whole or in part, leave the same state", () => {
  const frames: ServerFrame[] = [
    arrival(4),
    live("Hel", 0, 1),
    { type: "task.updated", task: { ...TASK, executionStep: "running", updatedAt: ago(1) }, cursor: "c1" },
    arrival(5, {}, "c2"),
    { type: "session.updated", session: { ...SESSION, lastSeq: 5, updatedAt: ago(1) }, cursor: "c3" },
  ];
  const once = run(start(), ...frames);
  assertEquals(run(once, ...frames), once);
  assertEquals(run(start(), ...frames.slice(0, 3), ...frames), once);
  assertEquals(shown(once), [1, 2, 3, 4, 5]);
  assertEquals(once.cursor, "c3");
});

Deno.test("a commit cut half way is repeated by the edge and shows each message once", () => {
  const cut = run(start(), arrival(4), arrival(5));
  assertEquals(cut.cursor, "c0", "only the last frame of a commit moves the cursor");
  assertEquals(shown(run(cut, arrival(4), arrival(5), arrival(6, {}, "c1"))), [1, 2, 3, 4, 5, 6]);
});

Deno.test("the greeting does not move the cursor over what was not received", () => {
  assertEquals(run(start(), { type: "hello", cursor: "c9", protocol: 1 }).cursor, "c0");
  assertEquals(run(start(), { type: "cursor", cursor: "c9" }).cursor, "c9");
});

Deno.test("a jump in seq shows nothing beyond it until the hole is filled", () => {
  const jumped = run(start(), arrival(6), arrival(7));
  assertEquals(shown(jumped), [1, 2, 3]);
  assertEquals(missingAfter(jumped.transcripts[SESSION.id]!, 7), 3);
  const page = { items: [4, 5, 6].map((seq) => makeMessage(seq)), hasMore: true, lastSeq: 7 };
  const filled = reduce(jumped, { type: "page", sessionId: SESSION.id, page, kind: "after" });
  assertEquals(shown(filled), [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(missingAfter(filled.transcripts[SESSION.id]!, 7), null);
});

Deno.test("a session that has more than is here lacks its tail", () => {
  assertEquals(missingAfter(start().transcripts[SESSION.id]!, 3), null);
  assertEquals(missingAfter(start().transcripts[SESSION.id]!, 5), 3);
});

Deno.test("messages in any order come out in order", () => {
  const seqs = [9, 4, 7, 5, 8, 6];
  const state = run(start(), ...seqs.map((seq) => arrival(seq)));
  assertEquals(shown(state), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

Deno.test("older pages join on at the top, and say when there are no more", () => {
  const newest = start([101, 102].map((seq) => makeMessage(seq)), true);
  assert(newest.transcripts[SESSION.id]!.hasOlder);
  const page = { items: [99, 100].map((seq) => makeMessage(seq)), hasMore: false, lastSeq: 102 };
  const paged = reduce(newest, { type: "page", sessionId: SESSION.id, page, kind: "older" });
  assertEquals(shown(paged), []);
  assertEquals(paged.transcripts[SESSION.id]!.hasOlder, false);
  const more = reduce(newest, { type: "page", sessionId: SESSION.id, page: { ...page, hasMore: true }, kind: "older" });
  assertEquals(shown(more), [99, 100, 101, 102]);
});

Deno.test("a message from before what is loaded waits for its page", () => {
  const newest = start([101, 102].map((seq) => makeMessage(seq)), true);
  assertEquals(shown(run(newest, arrival(5))), [101, 102]);
});

Deno.test("the newest page after a long absence takes the place of what does not join on", () => {
  const page = { items: [500, 501].map((seq) => makeMessage(seq)), hasMore: true, lastSeq: 501 };
  const state = reduce(start(), { type: "page", sessionId: SESSION.id, page, kind: "newest" });
  assertEquals(shown(state), [500, 501]);
  assert(state.transcripts[SESSION.id]!.hasOlder);
});

Deno.test("an updated message takes its place", () => {
  const frame: ServerFrame = {
    type: "message.updated",
    sessionId: SESSION.id,
    message: makeMessage(1, { content: "edited" }),
  };
  assertEquals(run(start(), frame).transcripts[SESSION.id]!.messages[0]!.content, "edited");
});

Deno.test("the whole text of a message stays when its cut copy comes again", () => {
  const whole = makeMessage(2, { content: "abcdef" });
  const cut = makeMessage(2, { content: "abc", truncated: true, contentBytes: 6 });
  const state = reduce(start(), { type: "message", sessionId: SESSION.id, message: whole });
  assertEquals(run(state, arrival(2, cut)).transcripts[SESSION.id]!.messages[1]!.content, "abcdef");
  const changed = run(state, arrival(2, { ...cut, content: "xyz" }));
  assertEquals(changed.transcripts[SESSION.id]!.messages[1]!.content, "xyz");
});

Deno.test("live text grows at its offset, starts anew at 0, and never joins over a gap", () => {
  const openText = (state: ProjectState) => state.transcripts[SESSION.id]!.open.map((open) => open.text);
  const state = run(start(), live("Hello", 0, 1), live(" wor", 5, 2));
  assertEquals(openText(state), ["Hello wor"]);
  assertEquals(openText(run(state, live("ld", 40, 3))), ["Hello wor"]);
  assertEquals(openText(run(state, live("late", 0, 1))), ["Hello wor"]);
  assertEquals(openText(run(state, live("Hello world!", 0, 4))), ["Hello world!"]);
  assertEquals(openText(run(start(), live("middle", 12, 7))), []);
});

Deno.test("the stored message takes the place of the open one, and late live text stays away", () => {
  const stored = arrival(4, { messageId: id(999), content: "Hello world" });
  const state = run(start(), live("Hello", 0, 1), stored);
  assertEquals(state.transcripts[SESSION.id]!.open, []);
  assertEquals(shown(run(state, live("Hello wor", 0, 9))), [1, 2, 3, 4]);
  assertEquals(run(state, live("Hello wor", 0, 9)).transcripts[SESSION.id]!.open, []);
});

Deno.test("open text ends with its session", () => {
  const open = run(start(), live("Hello", 0, 1));
  const stopped = run(open, { type: "session.stopped", sessionId: SESSION.id, endedAt: ago(0) });
  assertEquals(stopped.transcripts[SESSION.id]!.open, []);
  assertEquals(stopped.sessions[SESSION.id]!.status, "stopped");
});

Deno.test("messages of one session never show in another, whatever is selected", () => {
  const away = reduce(start(), { type: "select", sessionId: OTHER.id });
  const late = run(away, arrival(4), live("Hello", 0, 1));
  assertEquals(shown(late, OTHER.id), []);
  assertEquals(late.transcripts[OTHER.id]!.open, []);
  const page = { items: [makeMessage(1, { session: 2 })], hasMore: false, lastSeq: 1 };
  const answered = reduce(late, { type: "page", sessionId: OTHER.id, page, kind: "newest" });
  assertEquals(answered.transcripts[OTHER.id]!.messages.map((message) => message.messageId), [
    makeMessage(1, { session: 2 }).messageId,
  ]);
  assertEquals(shown(answered), [1, 2, 3, 4], "the first session kept its own");
});

Deno.test("a session that was just selected takes live text before its page is there", () => {
  const away = reduce(start(), { type: "select", sessionId: OTHER.id });
  const frame: ServerFrame = { ...live("Hi", 0, 1), sessionId: OTHER.id } as ServerFrame;
  assertEquals(run(away, frame).transcripts[OTHER.id]!.open.length, 1);
});

Deno.test("an older copy never takes the place of a newer one", () => {
  const newer = { ...TASK, status: "completed" as const, updatedAt: ago(1) };
  const state = run(start(), { type: "task.updated", task: newer }, { type: "task.updated", task: TASK });
  assertEquals(state.tasks[TASK.id]!.status, "completed");
});

Deno.test("a prompt goes forward only", () => {
  const prompt = { messageId: id(50), sessionId: SESSION.id, text: "more", createdAt: ago(1) };
  const at = (state: "queued" | "running" | "done"): ServerFrame => ({
    type: "prompt.updated",
    sessionId: SESSION.id,
    prompt: { ...prompt, state },
  });
  const state = run(start(), at("queued"), at("running"), at("queued"));
  assertEquals(waitingPrompts(state.prompts[SESSION.id], new Set()).map((each) => each.state), ["running"]);
  assertEquals(waitingPrompts(state.prompts[SESSION.id], new Set([id(50)])), []);
  assertEquals(waitingPrompts(run(state, at("done")).prompts[SESSION.id], new Set()), []);
});

Deno.test("a deleted task goes with its session, its messages and the selection", () => {
  const state = run(start(), { type: "task.deleted", taskId: TASK.id, sessionId: SESSION.id, cursor: "c1" });
  assertEquals([state.tasks, Object.keys(state.sessions), state.selectedId], [{}, [OTHER.id], null]);
});

Deno.test("after a resync, what the lists do not name is gone, but older sessions stay", () => {
  const old = makeSession(makeTask(12), { updatedAt: ago(5000) });
  const stale = run(reduce(start(), { type: "session", session: old }), {
    type: "resync",
    reason: "old",
    cursor: "c7",
  });
  assertEquals([stale.stale, stale.cursor], [true, "c7"]);
  const refreshed = (moreSessions: boolean): Action => ({
    type: "refreshed",
    sessions: [SESSION],
    moreSessions,
    tasks: [],
  });
  assertEquals(Object.keys(reduce(stale, refreshed(false)).sessions), [SESSION.id]);
  const kept = reduce(stale, refreshed(true));
  assertEquals(sessionsByActivity(kept.sessions).map((session) => session.id), [SESSION.id, old.id]);
  assertEquals([kept.stale, kept.tasks], [false, {}]);
});

Deno.test("T053-1 sessions stand in reverse chronological order of activity", () => {
  const sessions = [30, 10, 20].map((minutes, n) => makeSession(makeTask(20 + n), { updatedAt: ago(minutes) }));
  const state = sessions.reduce((before, session) => reduce(before, { type: "session", session }), start());
  assertEquals(
    sessionsByActivity(state.sessions).filter((each) => sessions.includes(each)).map((each) => each.updatedAt),
    [ago(10), ago(20), ago(30)],
  );
});

Deno.test("T063-2 T063-8 cards stand in the column of their status, by priority", () => {
  const tasks = [
    makeTask(1, { priority: 1 }),
    makeTask(2, { priority: 7 }),
    makeTask(3, { status: "completed" }),
    makeTask(4, { priority: -3 }),
  ];
  const columns = boardColumns(Object.fromEntries(tasks.map((task) => [task.id, task])));
  assertEquals(columns.find((each) => each.status === "draft")!.tasks.map((task) => task.priority), [7, 1, -3]);
  assertEquals(columns.find((each) => each.status === "completed")!.tasks.map((task) => task.id), [id(3)]);
});

Deno.test("T063-4 columns of passing states are there while they hold cards", () => {
  const statuses = (tasks: ReturnType<typeof makeTask>[]) =>
    boardColumns(Object.fromEntries(tasks.map((task) => [task.id, task]))).map((column) => column.status);
  const six = ["draft", "ready", "in_progress", "completed", "failed", "cancelled"];
  assertEquals(statuses([]), six);
  assertEquals(statuses([makeTask(1, { status: "queued" })]), [...six.slice(0, 2), "queued", ...six.slice(2)]);
});

Deno.test("follow-ups are taken by a live session with a workspace that is not closing", () => {
  const workspace = { id: id(70), status: "running" as const, keptUntil: null };
  const enabled = (part: Partial<typeof SESSION>) => {
    const state = composerOf({ ...SESSION, workspace, ...part });
    return state.show ? state.enabled : null;
  };
  assertEquals(enabled({}), true);
  assertEquals(enabled({ turn: "finalizing" }), false);
  assertEquals(enabled({ workspace: null }), false);
  assertEquals(enabled({ workspace: { ...workspace, keptUntil: ago(-5) } }), false);
  assertEquals(enabled({ status: "stopped" }), null);
});

Deno.test("a session is archived when its workspace is gone, not while it is kept", () => {
  const ended = { ...SESSION, status: "stopped" as const };
  const workspace = { id: id(70), status: "stopped" as const, keptUntil: null };
  assertEquals(isArchived({ ...ended, workspace }), true);
  assertEquals(isArchived({ ...ended, workspace: { ...workspace, keptUntil: ago(-5) } }), false);
  assertEquals(isArchived({ ...SESSION, workspace }), false);
});

function makeRequest(n: number, change: Partial<PermissionRequest> = {}): PermissionRequest {
  return {
    requestId: id(800 + n),
    sessionId: SESSION.id,
    toolCallId: `t${n}`,
    title: `Request ${n}`,
    toolMetadata: null,
    options: [{ optionId: "yes", name: "Allow", kind: "allow_once" }],
    status: "pending",
    answer: null,
    answeredBy: null,
    createdAt: ago(100 - n),
    expiresAt: ago(-3_600),
    ...change,
  };
}

Deno.test("requests for permission come in order, once, and go when they are resolved, whoever answered", () => {
  const titles = (state: ProjectState) => (state.permissions[SESSION.id] ?? []).map(({ title }) => title);
  const requested = (n: number): ServerFrame => ({
    type: "permission.requested",
    sessionId: SESSION.id,
    request: makeRequest(n),
  });
  const resolved = (n: number): ServerFrame => ({
    type: "permission.resolved",
    sessionId: SESSION.id,
    requestId: id(800 + n),
    outcome: "allow_once",
    by: "ada",
  });
  const both = run(start(), requested(2), requested(1), requested(2));
  assertEquals(titles(both), ["Request 1", "Request 2"]);
  assertEquals(titles(run(both, resolved(1), resolved(1))), ["Request 2"]);
  const read = reduce(both, { type: "permissions", sessionId: SESSION.id, requests: [makeRequest(3)] });
  assertEquals(titles(read), ["Request 3"], "what the store has replaces what was known");
  assertEquals(titles(run(read, resolved(9))), ["Request 3"]);
});
