/** What comes after a turn: every kind of end, with and without a waiting prompt, in a task and in a manual workspace. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { PromptRecord } from "../../../lib/store/prompts.ts";
import { afterSteering, afterTurn, promptStateAfter, type TurnEnd } from "../../../lib/tasks/turn_decision.ts";
import type { TurnReport } from "../../../lib/wire/workspace.ts";

const WAITING: PromptRecord = {
  v: 1,
  messageId: "m",
  sessionId: "s",
  n: 1,
  text: "more",
  state: "queued",
  by: "u",
  at: 0,
};

function ended(more: Partial<TurnReport>): TurnReport {
  return { promptId: "p", event: "ended", ...more };
}

function kindOf(end: TurnEnd): string {
  return end.kind;
}

const ENDS: [name: string, report: TurnReport, alone: string, waiting: string, prompt: string][] = [
  ["clean", ended({ stopReason: "end_turn" }), "finalize", "next", "done"],
  ["without a reason", ended({}), "finalize", "next", "done"],
  ["interrupted by a person", ended({ stopReason: "cancelled" }), "wait", "next", "cancelled"],
  ["refused", ended({ stopReason: "refusal" }), "fail", "fail", "failed"],
  ["too long", ended({ stopReason: "max_tokens" }), "fail", "fail", "failed"],
  ["too many steps", ended({ stopReason: "max_turn_requests" }), "fail", "fail", "failed"],
  ["failed", ended({ error: "the model is down" }), "fail", "fail", "failed"],
  ["failed, although it says it ended well", ended({ stopReason: "end_turn", error: "x" }), "fail", "fail", "failed"],
  ["cut, to be gone on with", ended({ interrupted: true, resumable: true }), "resume", "resume", "failed"],
  ["cut, not to be gone on with", ended({ interrupted: true, resumable: false }), "fail", "fail", "failed"],
];

Deno.test("after a turn of a task", () => {
  for (const [name, report, alone, waiting, prompt] of ENDS) {
    assertEquals(kindOf(afterTurn(report, { task: { resumes: 0 }, waiting: null })), alone, name);
    assertEquals(kindOf(afterTurn(report, { task: { resumes: 0 }, waiting: WAITING })), waiting, `${name}, one waits`);
    assertEquals(promptStateAfter(report), prompt, name);
  }
});

Deno.test("in a manual workspace a turn ends only itself, and a waiting prompt is always handed out", () => {
  for (const [name, report] of ENDS) {
    assertEquals(kindOf(afterTurn(report, { task: null, waiting: null })), "wait", name);
    assertEquals(kindOf(afterTurn(report, { task: null, waiting: WAITING })), "next", name);
  }
});

Deno.test("a cut conversation is gone on with twice in a run, then it fails with a sentence", () => {
  const report = ended({ interrupted: true, resumable: true });
  const decide = (resumes: number) => afterTurn(report, { task: { resumes }, waiting: null });
  assertEquals([0, 1, 2, 3].map(decide).map(kindOf), ["resume", "resume", "fail", "fail"]);
  const end = decide(2);
  assertStringIncludes(end.kind === "fail" ? end.reason : "", "too often");
});

Deno.test("the reason of a failure is a sentence for a person", () => {
  const reasonOf = (report: TurnReport) => {
    const end = afterTurn(report, { task: { resumes: 0 }, waiting: null });
    return end.kind === "fail" ? end.reason : "";
  };
  assertStringIncludes(reasonOf(ended({ stopReason: "refusal" })), "refused");
  assertStringIncludes(reasonOf(ended({ stopReason: "max_tokens" })), "largest length");
  assertStringIncludes(reasonOf(ended({ stopReason: "max_turn_requests" })), "limit of steps");
  assertEquals(reasonOf(ended({ error: "Out of credit." })), "Out of credit.");
});

Deno.test("what becomes of a prompt that was sent into a turn; a report of what is over changes nothing", () => {
  const sent = { state: "sent" as const, steeredInto: "t" };
  const told = (more: Partial<TurnReport>) => ({ into: "t", outcome: "injected" as const, ...more });
  assertEquals(afterSteering(sent, told({})), "done");
  assertEquals(afterSteering(sent, told({ interrupted: true })), "failed");
  assertEquals(afterSteering(sent, told({ outcome: "returned" })), "queued");
  assertEquals(afterSteering(sent, told({ into: "another" })), null);
  assertEquals(afterSteering({ state: "sent" }, told({ into: undefined })), null, "a turn of its own");
  for (const state of ["queued", "running", "done", "failed", "cancelled"] as const) {
    assertEquals(afterSteering({ ...sent, state }, told({})), null, state);
  }
});
