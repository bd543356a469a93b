import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { findCircle, Progress } from "../../../agent/coding/progress.ts";

/** One whole call, as a coding agent tells it: announced, then finished with its output. */
function call(progress: Progress, n: number, { title = "make test", output = "1 failed" } = {}): void {
  const toolCallId = `t${n}`;
  progress.note({ sessionUpdate: "tool_call", toolCallId, title, kind: "execute", rawInput: { command: title } });
  progress.note({ sessionUpdate: "tool_call_update", toolCallId, status: "completed", rawOutput: output });
}

Deno.test("the same call with the same result, again and again, is no progress; another result is", () => {
  const progress = new Progress(3);
  for (let n = 0; n < 2; n++) call(progress, n);
  assertEquals(progress.stuck, null);
  call(progress, 2);
  assertStringIncludes(progress.stuck!, "did the same 3 times with the same result (make test)");
  call(progress, 3, { output: "all passed" });
  assertEquals(progress.stuck, null);
  for (let n = 4; n < 7; n++) call(progress, n, { output: `${n} failed` });
  assertEquals(progress.stuck, null, "what comes out differs");
  for (let n = 7; n < 10; n++) call(progress, n);
  assert(progress.stuck);
  progress.reset();
  assertEquals(progress.stuck, null, "a turn begins anew");
});

Deno.test("a circle of a few calls is noticed, a longer way is not one", () => {
  const progress = new Progress(3);
  for (let n = 0; n < 6; n++) call(progress, n, { title: n % 2 ? "edit" : "test" });
  assertStringIncludes(progress.stuck!, "(test, then edit)");
  assertEquals(findCircle([..."abcabcabc"], 3), 3);
  assertEquals(findCircle([..."xxabcdabcdabcd"], 3), 4);
  assertEquals(findCircle([..."abcdeabcdeabcde"], 3), 0);
  assertEquals(findCircle([..."aab"], 2), 0);
  assertEquals(findCircle([], 2), 0);
});

Deno.test("what is still open is no repetition, and 0 repeats are for ever", () => {
  const progress = new Progress(2);
  for (let n = 0; n < 5; n++) progress.note({ sessionUpdate: "tool_call", toolCallId: `t${n}`, title: "same" });
  assertEquals(progress.stuck, null);
  const never = new Progress(0);
  for (let n = 0; n < 50; n++) call(never, n);
  assertEquals(never.stuck, null);
});
