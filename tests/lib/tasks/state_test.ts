/** The states of a task: every pair of them. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { AppError } from "../../../lib/errors.ts";
import {
  canTransition,
  checkByHand,
  eventsToQueued,
  isStartable,
  isTerminal,
  transition,
} from "../../../lib/tasks/state.ts";
import { taskStatus } from "../../../lib/wire/task.ts";

const ALL = taskStatus.options;

/** As product.md has it. */
const ALLOWED = `
draft: ready cancelled
ready: queued cancelled
queued: delegated failed cancelled
delegated: in_progress failed cancelled
in_progress: completed failed cancelled
failed: ready cancelled
cancelled: ready
completed:`;

const BY_HAND = `
draft: ready cancelled
ready: cancelled
failed: ready
cancelled: ready`;

function pairs(table: string): Set<string> {
  const lines = table.trim().split("\n").map((line) => line.split(":") as [string, string]);
  return new Set(lines.flatMap(([from, to]) => to.trim().split(" ").filter(Boolean).map((each) => `${from}>${each}`)));
}

function eachPair(): [typeof ALL[number], typeof ALL[number]][] {
  return ALL.flatMap((from) => ALL.map((to) => [from, to] as [typeof from, typeof to]));
}

Deno.test("every transition of the table is allowed, and no other", () => {
  const allowed = pairs(ALLOWED);
  for (const [from, to] of eachPair()) {
    const isAllowed = allowed.has(`${from}>${to}`);
    assertEquals(canTransition(from, to), isAllowed, `${from} > ${to}`);
    if (isAllowed) {
      const by = { actor: "user" as const, reason: "because" };
      assertEquals(transition({ status: from }, to, by), { from, to, ...by });
    } else {
      const error = assertThrows(() => transition({ status: from }, to, { actor: "user" }), AppError) as AppError;
      assertEquals([error.code, error.status, error.details], ["invalid_transition", 409, { from, to }]);
    }
  }
});

Deno.test("by hand only the few transitions that a person may make, and the refusal names the way", () => {
  const allowed = pairs(BY_HAND);
  for (const [from, to] of eachPair()) {
    if (allowed.has(`${from}>${to}`)) {
      checkByHand(from, to);
      continue;
    }
    const error = assertThrows(() => checkByHand(from, to), AppError) as AppError;
    assertEquals(error.code, "invalid_transition", `${from} > ${to}`);
  }
  const ways: [typeof ALL[number], typeof ALL[number], string][] = [
    ["draft", "queued", "/run"],
    ["ready", "in_progress", "/run"],
    ["queued", "cancelled", "/cancel"],
    ["in_progress", "ready", "/cancel"],
    ["in_progress", "completed", "callback"],
    ["completed", "ready", "new task"],
  ];
  for (const [from, to, way] of ways) {
    assertStringIncludes(assertThrows(() => checkByHand(from, to), AppError).message, way, `${from} > ${to}`);
  }
});

Deno.test("a run passes through ready, with an event for each step", () => {
  const by = { actor: "user" as const };
  for (const from of ["draft", "failed", "cancelled"] as const) {
    assertEquals(eventsToQueued(from, by).map((event) => [event.from, event.to]), [[from, "ready"], [
      "ready",
      "queued",
    ]]);
  }
  assertEquals(eventsToQueued("ready", by).map((event) => [event.from, event.to]), [["ready", "queued"]]);
  for (const from of ["queued", "delegated", "in_progress", "completed"] as const) {
    assertThrows(() => eventsToQueued(from, by), AppError);
  }
});

Deno.test("what can be started, and what is over", () => {
  assertEquals(ALL.filter(isStartable), ["draft", "ready", "failed", "cancelled"]);
  assertEquals(ALL.filter(isTerminal), ["completed", "failed", "cancelled"]);
});
