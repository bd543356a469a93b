import { assert, assertEquals } from "@std/assert";
import { type Frame, LiveText } from "../../../agent/node/live_text.ts";
import type { OutboxRow } from "../../../agent/store/outbox.ts";
import { byteLength } from "../../../lib/bytes.ts";
import { newId } from "../../../lib/ids.ts";
import { liveFrame } from "../../../lib/wire/control.ts";
import { setClock } from "../../set_clock.ts";
import { eventually } from "./node_harness.ts";

const IDS = { workspaceId: newId(), projectId: newId(), sessionId: newId() };

function row(content: string, change: Partial<OutboxRow> = {}): OutboxRow {
  const base = { ...IDS, messageId: newId(), role: "assistant" as const, toolMetadata: null, flags: null };
  return { ...base, createdAt: new Date().toISOString(), content, ...change };
}

/** Frames as they are sent, the times of sending, and what a page that applies them shows. */
function watch() {
  const frames: Frame[] = [];
  const times: number[] = [];
  const shown = new Map<string, string>();
  const changed: (() => void)[] = [];
  const live = new LiveText((frame) => {
    frames.push(frame);
    times.push(performance.now());
    shown.set(frame.messageId, (shown.get(frame.messageId) ?? "").slice(0, frame.at) + frame.text);
    for (const wake of changed.splice(0)) wake();
  });
  const until = async (look: () => boolean) => {
    while (!look()) await new Promise<void>((resolve) => changed.push(resolve));
  };
  return { live, frames, times, shown, until, [Symbol.dispose]: () => live[Symbol.dispose]() };
}

Deno.test("a fast stream becomes few frames, each with what was added, and the page shows all of it", async () => {
  using set = watch();
  const open = row("");
  for (let n = 0; n < 300; n++) {
    open.content += `w${n} `;
    set.live.show({ ...open });
    if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await set.until(() => set.shown.get(open.messageId) === open.content);
  for (let n = 1; n < set.times.length; n++) assert(set.times[n]! - set.times[n - 1]! > 80, "at most ten a second");
  assertEquals(set.frames.map(({ rev }) => rev), set.frames.map((_, n) => n));
  assertEquals(set.frames[0]?.at, 0);
  assert(set.frames.slice(1).every(({ at }) => at > 0));
});

Deno.test("who starts to follow gets the whole, and a text that was replaced comes whole", async () => {
  using set = watch();
  const open = row("first");
  set.live.show(open);
  set.live.refresh();
  await set.until(() => set.frames.length === 2);
  assertEquals(set.frames.map(({ at, text }) => [at, text]), [[0, "first"], [0, "first"]]);
  set.live.show({ ...open, content: "another text" });
  await set.until(() => set.frames.length === 3);
  assertEquals([set.frames[2]?.at, set.frames[2]?.text], [0, "another text"]);
});

Deno.test("a machine's clock that is set back does not hold frames up", async () => {
  using set = watch();
  const open = row("first");
  set.live.show(open);
  await set.until(() => set.frames.length === 1);
  using _back = setClock(-3_600_000);
  set.live.show({ ...open, content: "first and second" });
  await eventually(() => set.frames.length === 2);
});

Deno.test("a long message comes in frames within the limit, whatever its characters", async () => {
  using set = watch();
  const toolMetadata = { tool: "run", status: "executing" as const, toolCallId: "t", input: "x".repeat(4_000) };
  const open = row("\u0001😀".repeat(12_000), { role: "tool", toolMetadata });
  set.live.show(open);
  await set.until(() => set.shown.get(open.messageId) === open.content);
  assert(set.frames.length > 1);
  for (const frame of set.frames) {
    const sent = liveFrame.parse({ type: "live", ...frame });
    assert(byteLength(JSON.stringify(sent)) <= 64 * 1024);
  }
});

Deno.test("a message that is finished is not sent any more; several that grow take turns", async () => {
  using set = watch();
  const [one, two, gone] = [row("one"), row("two"), row("gone")];
  for (const open of [one, two, gone]) set.live.show(open);
  set.live.forget(gone.messageId);
  await set.until(() => set.shown.size === 2);
  assertEquals([...set.shown.values()], ["one", "two"]);
});
