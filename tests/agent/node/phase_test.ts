import { assertEquals } from "@std/assert";
import { afterAnswer, describe, isRepeatable, nextAction, type Phase } from "../../../agent/node/phase.ts";
import { withRecap } from "../../../agent/coding/recap.ts";
import { reachedLimit } from "../../../agent/node/run_limits.ts";
import type { WorkspaceRow } from "../../../agent/store/workspaces.ts";
import { newId } from "../../../lib/ids.ts";
import type { TurnReport } from "../../../lib/wire/workspace.ts";

const PROMPT = newId();
const NEXT = { messageId: newId(), text: "go on" };

function rowOf(phase: Phase, change: Partial<WorkspaceRow> = {}): WorkspaceRow {
  const base = { workspaceId: newId(), run: 1, facts: null, acpSessionId: null, branch: null, resumes: 0 };
  const prompt = { promptId: PROMPT, promptState: "ended" as const, promptText: "do it" };
  return { ...base, ...prompt, phase, updatedAt: new Date().toISOString(), ...change };
}

Deno.test("every phase leads to one action, and a prompt found running is never run again", () => {
  const action = (phase: Phase, promptState: WorkspaceRow["promptState"] = "none") =>
    nextAction({ phase, promptState });
  assertEquals(action("starting", "handed"), "begin");
  assertEquals(action("ready", "handed"), "prompt");
  assertEquals(action("ready", "running"), "interrupted");
  assertEquals([action("ready"), action("ready", "ended"), action("kept")], [null, null, null]);
  assertEquals(action("finalizing"), "finalize");
  assertEquals([action("finished"), action("keeping"), action("removing")], ["quiet", "keep", "remove"]);
  assertEquals(action("stopped"), "forget");
});

Deno.test("what hangs is done again but for a prompt that runs", () => {
  const states = ["none", "handed", "running", "ended"] as const;
  const repeatable = (phase: Phase) => states.filter((promptState) => isRepeatable({ phase, promptState }));
  assertEquals([repeatable("starting"), repeatable("finalizing")], [[...states], [...states]]);
  assertEquals(repeatable("ready"), ["handed"]);
  for (const phase of ["finished", "keeping", "kept", "removing", "stopped"] as const) {
    assertEquals(repeatable(phase), []);
  }
});

Deno.test("an answer to a turn changes the row once: its repetition speaks of a prompt that is past", () => {
  const ended: TurnReport = { promptId: PROMPT, event: "ended", stopReason: "end_turn" };
  const row = rowOf("ready");
  const next = afterAnswer(row, ended, { next: NEXT });
  assertEquals(next, { promptId: NEXT.messageId, promptText: "go on", promptState: "handed", facts: null });
  assertEquals(afterAnswer({ ...row, ...next }, ended, { next: NEXT }), null);
  assertEquals(afterAnswer(row, ended, { finalize: true }), { phase: "finalizing", promptState: "none" });
  assertEquals(afterAnswer(rowOf("finished"), ended, { finalize: true }), null);
  assertEquals(afterAnswer(row, ended, { wait: true }), { promptState: "none" });
  assertEquals(afterAnswer(row, ended, { stop: true }), { phase: "finished", promptState: "none" });
  assertEquals(afterAnswer(rowOf("removing"), ended, { stop: true }), null);
});

Deno.test("an accepted turn that is not wanted any more is stopped, and nothing else follows from it", () => {
  const accepted: TurnReport = { promptId: PROMPT, event: "accepted" };
  const row = rowOf("ready", { promptState: "running" });
  assertEquals(afterAnswer(row, accepted, { ok: true }), null);
  assertEquals(afterAnswer(row, accepted, { wait: true }), null);
  assertEquals(afterAnswer(row, accepted, { stop: true }), { phase: "finished", promptState: "none" });
});

Deno.test("the heartbeat says what a workspace does in the words of the edge", () => {
  assertEquals(describe({ phase: "starting", promptState: "none" }), { status: "creating", turn: "idle" });
  assertEquals(describe({ phase: "ready", promptState: "running" }), { status: "running", turn: "running" });
  assertEquals(describe({ phase: "finalizing", promptState: "none" }), { status: "running", turn: "finalizing" });
  assertEquals(describe({ phase: "kept", promptState: "ended" }), { status: "ready", turn: "idle" });
  assertEquals(describe({ phase: "removing", promptState: "none" }), { status: "stopping", turn: "idle" });
  assertEquals(describe({ phase: "stopped", promptState: "none" }), { status: "stopped", turn: "idle" });
});

Deno.test("a run ends at its limit of money or time, and not without one", () => {
  const used = { costUsd: 1.5, startedAtMs: 0, turns: 2, now: 120_000 };
  assertEquals(reachedLimit({ maxTurns: null, maxCostUsd: null, maxMinutes: null }, used), null);
  assertEquals(reachedLimit({ maxTurns: null, maxCostUsd: 1.6, maxMinutes: 3 }, used), null);
  assertEquals(
    reachedLimit({ maxTurns: null, maxCostUsd: 1.5, maxMinutes: 3 }, used),
    "The run reached its limit of 1.5 USD.",
  );
  assertEquals(
    reachedLimit({ maxTurns: null, maxCostUsd: 2, maxMinutes: 2 }, used),
    "The run reached its limit of 2 minutes.",
  );
  assertEquals(reachedLimit({ maxTurns: null, maxCostUsd: 2, maxMinutes: null }, { ...used, costUsd: null }), null);
  const turns = (maxTurns: number) => reachedLimit({ maxTurns, maxCostUsd: null, maxMinutes: null }, used);
  assertEquals([turns(2), turns(1)], [null, "The run reached its limit of 1 turn."]);
});

Deno.test("a coding agent that starts anew is told what was before, under the id of the same prompt", () => {
  const told = withRecap({ messageId: PROMPT, text: "And the tests?" }, null);
  assertEquals([told.messageId, told.text.endsWith("\n\nAnd the tests?")], [PROMPT, true]);
});
