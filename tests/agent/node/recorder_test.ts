import { assert, assertEquals } from "@std/assert";
import type { Frame } from "../../../agent/node/live_text.ts";
import { Recorder } from "../../../agent/node/recorder.ts";
import { OpenMessages } from "../../../agent/store/open_messages.ts";
import { newId } from "../../../lib/ids.ts";
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
  }) => Promise<void>,
  permissionMode: "autonomous" | "ask" = "autonomous",
) {
  return withDatabase(async (db) => {
    const [outbox, openMessages, workspaceId] = [makeOutbox(db), new OpenMessages(db), newId()];
    const frames: Frame[] = [];
    const again = () =>
      new Recorder({
        workspaceId,
        projectId: newId(),
        sessionId: newId(),
        cwd: "/home/ada/checkout",
        permissionMode,
        outbox,
        openMessages,
        live: (frame) => frames.push(frame),
        log: silent,
      });
    await using recorder = again();
    await work({ recorder, again, openMessages, waiting: () => waitingContents(outbox, workspaceId), workspaceId });
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

Deno.test("a tool call that is refused because the project asks says so, before what the coding agent says of it", () =>
  withRecorder(async ({ recorder, waiting }) => {
    const call = { toolCallId: "t1", title: "rm -r build" };
    const options = [
      { optionId: "yes", name: "Allow", kind: "allow_once" as const },
      { optionId: "no", name: "Reject", kind: "reject_once" as const },
    ];
    assertEquals(recorder.permit(call, options), { outcome: { outcome: "selected", optionId: "no" } });
    const output = { type: "content" as const, content: "Not permitted." };
    recorder.take({ sessionUpdate: "tool_call_update", toolCallId: "t1", status: "failed", content: [output] });
    // Without an option to refuse there is still a word on it.
    assertEquals(recorder.permit({ ...call, toolCallId: "t2" }, []), { outcome: { outcome: "cancelled" } });
    recorder.take({ sessionUpdate: "tool_call_update", toolCallId: "t2", status: "failed" });
    await recorder.endTurn({ interrupted: false });
    const refused = "Refused, because this project asks for permission and nobody can be asked here.";
    assertEquals(await waiting(), [`${refused}\nNot permitted.`, refused]);
  }, "ask"));
