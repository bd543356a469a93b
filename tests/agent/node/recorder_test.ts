import { assert, assertEquals } from "@std/assert";
import type { Frame } from "../../../agent/node/live_text.ts";
import { PermissionDesk } from "../../../agent/node/permission_desk.ts";
import { Recorder } from "../../../agent/node/recorder.ts";
import { Tell } from "../../../agent/node/tell.ts";
import { OpenMessages } from "../../../agent/store/open_messages.ts";
import { Reports } from "../../../agent/store/reports.ts";
import { newId } from "../../../lib/ids.ts";
import { requestPermission } from "../../../lib/wire/permission_calls.ts";
import { makeOutbox, silent, waitingContents, withDatabase } from "../store/fixture.ts";
import { setClock } from "../../set_clock.ts";
import { eventually } from "./node_harness.ts";

const chunk = (content: string, messageId: string) => ({
  sessionUpdate: "agent_message_chunk" as const,
  content,
  messageId,
});

function withRecorder(
  work: (parts: {
    recorder: Recorder;
    again: () => Recorder;
    openMessages: OpenMessages;
    waiting: () => Promise<string[]>;
    workspaceId: string;
    desk: PermissionDesk;
    reports: Reports;
  }) => Promise<void>,
  mode: "autonomous" | "ask" = "autonomous",
) {
  return withDatabase(async (db) => {
    const [outbox, openMessages, workspaceId] = [makeOutbox(db), new OpenMessages(db), newId()];
    const frames: Frame[] = [];
    const reports = new Reports(db);
    const desk = new PermissionDesk(new Tell(reports, workspaceId));
    const again = () =>
      new Recorder({
        workspaceId,
        projectId: newId(),
        sessionId: newId(),
        cwd: "/home/ada/checkout",
        permissions: { mode, policy: { reads: true, edits: true }, timeoutMs: 60_000 },
        desk,
        repeatsMax: 3,
        outbox,
        openMessages,
        live: (frame) => frames.push(frame),
        log: silent,
      });
    await using recorder = again();
    const waiting = () => waitingContents(outbox, workspaceId);
    await work({ recorder, again, openMessages, waiting, workspaceId, desk, reports });
  });
}

Deno.test("a growing message is saved now and then, and its saved part goes when it is finished", () =>
  withRecorder(async ({ recorder, openMessages, waiting, workspaceId }) => {
    recorder.startTurn("Do it");
    recorder.take(chunk("x".repeat(5_000), "m1"));
    const saved = await eventually(async () => (await openMessages.list(workspaceId))[0] ?? null);
    assertEquals(saved.content.length, 5_000);
    recorder.take(chunk(" and", "m1"));
    await eventually(async () => (await openMessages.list(workspaceId))[0]?.content.endsWith(" and") ?? false);
    recorder.take(chunk("next", "m2"));
    await recorder.endTurn({ interrupted: false });
    assertEquals((await waiting()).map((content) => content.length), [5_004, 4]);
    assertEquals(await openMessages.list(workspaceId), []);
  }));

Deno.test("what a crash left open is closed by the next recorder, in order and once", () =>
  withRecorder(async ({ recorder, again, openMessages, waiting, workspaceId }) => {
    recorder.take({ sessionUpdate: "tool_call", toolCallId: "t1", title: "Build" });
    await eventually(async () => (await openMessages.list(workspaceId)).length === 1);
    recorder.take(chunk("y".repeat(5_000), "m1"));
    await eventually(async () => (await openMessages.list(workspaceId)).length === 2);
    await using next = again();
    assertEquals(await next.closeLeftOpen(), 2);
    assertEquals(await next.closeLeftOpen(), 0);
    assertEquals((await waiting()).map((content) => content[0]), ["B", "y"]);
  }));

Deno.test("a machine's clock that is set back holds no save up, and what is left open keeps its order", () =>
  withRecorder(async ({ recorder, again, openMessages, waiting, workspaceId }) => {
    recorder.take({ sessionUpdate: "tool_call", toolCallId: "t1", title: "Build" });
    await eventually(async () => (await openMessages.list(workspaceId)).length === 1);
    using _once = setClock(-3_600_000);
    recorder.take(chunk("It", "m1"));
    using _again = setClock(-3_600_000);
    recorder.take(chunk(" builds", "m1"));
    await eventually(async () => (await openMessages.list(workspaceId))[1]?.content === "It builds");
    await using next = again();
    assertEquals(await next.closeLeftOpen(), 2);
    assertEquals(await waiting(), ["Build", "It builds"]);
  }));

Deno.test("thousands of messages at once are all written, in order", () =>
  withRecorder(async ({ recorder, waiting }) => {
    recorder.startTurn("Do it");
    for (let n = 0; n < 3_000; n++) recorder.take(chunk(`message ${n}`, `m${n}`));
    await recorder.endTurn({ interrupted: false });
    const written = await waiting();
    assertEquals(written.length, 3_000);
    assert(written.every((content, n) => content === `message ${n}`));
    assertEquals(recorder.lastAnswer, "message 2999");
  }));

const OPTIONS = [
  { optionId: "yes", name: "Allow", kind: "allow_once" as const },
  { optionId: "no", name: "Reject", kind: "reject_once" as const },
];
const CALL = { toolCallId: "t1", title: "rm -r build" };
const nobody = { optionId: null, by: null };

Deno.test("a call that asks waits for its answer; a refusal stands before what the coding agent says of it", () =>
  withRecorder(async ({ recorder, waiting, desk, reports, workspaceId }) => {
    const { signal } = new AbortController();
    const permitted = recorder.permit({ call: CALL, options: OPTIONS, signal });
    const report = await eventually(() => reports.oldest(workspaceId));
    const asked = requestPermission.parse(report.body);
    assertEquals([asked.title, asked.toolCallId, asked.options], ["rm -r build", "t1", OPTIONS]);
    desk.respond(newId(), { outcome: "answered", optionId: "yes", by: "eve" });
    desk.respond(asked.requestId, { outcome: "answered", optionId: "no", by: "ada" });
    assertEquals(await permitted, { outcome: { outcome: "selected", optionId: "no" } });
    const output = { type: "content" as const, content: "Not permitted." };
    recorder.take({ sessionUpdate: "tool_call_update", toolCallId: "t1", status: "failed", content: [output] });
    await recorder.endTurn({ interrupted: false });
    assertEquals(await waiting(), ["Rejected by ada.\nNot permitted."]);
  }, "ask"));

Deno.test("a request that is not waited for any more is closed at the edge, one that ended there is not", () =>
  withRecorder(async ({ recorder, desk, reports, workspaceId }) => {
    const turn = new AbortController();
    const permitted = recorder.permit({ call: CALL, options: OPTIONS, signal: turn.signal });
    const report = await eventually(() => reports.oldest(workspaceId));
    turn.abort();
    assertEquals(await permitted, { outcome: { outcome: "cancelled" } });
    await reports.done(report.id);
    const close = await eventually(() => reports.oldest(workspaceId));
    const { requestId } = requestPermission.parse(report.body);
    assertEquals(close.path, `/api/workspaces/${workspaceId}/permissions/${requestId}/close`);
    assertEquals(close.body, { outcome: "cancelled" });
    await reports.done(close.id);

    const { signal } = new AbortController();
    const second = recorder.permit({ call: { ...CALL, toolCallId: "t2" }, options: OPTIONS, signal });
    const again = await eventually(() => reports.oldest(workspaceId));
    desk.respond(requestPermission.parse(again.body).requestId, { outcome: "expired", ...nobody });
    assertEquals(await second, { outcome: { outcome: "selected", optionId: "no" } });
    await reports.done(again.id);
    assertEquals(await reports.oldest(workspaceId), null);
  }, "ask"));

Deno.test("what the project's rules allow is not asked, and what an edge refuses to ask is refused", () =>
  withRecorder(async ({ recorder, desk, reports, workspaceId }) => {
    const checkout = await Deno.makeTempDir();
    const { signal } = new AbortController();
    // The checkout of this recorder is not there, so it is not certain that anything lies inside.
    const edit = { toolCallId: "t3", title: "Edit", kind: "edit", locations: [{ path: `${checkout}/a.txt` }] };
    const permitted = recorder.permit({ call: edit, options: OPTIONS, signal });
    const report = await eventually(() => reports.oldest(workspaceId));
    desk.respond(requestPermission.parse(report.body).requestId, { outcome: "refused", ...nobody });
    assertEquals(await permitted, { outcome: { outcome: "selected", optionId: "no" } });
    await Deno.remove(checkout);
  }, "ask"));
