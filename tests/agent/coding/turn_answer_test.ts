import { assertEquals } from "@std/assert";
import { toTurnEnd } from "../../../agent/coding/turn_answer.ts";
import { readUpdate } from "../../../agent/coding/updates.ts";

const OPTIONS = { label: "Codex", costUsd: 0.5, wasCancelled: false };

function told(failure: Record<string, string>) {
  return { jetbrains: { air: { version: 1, sessionFailure: { id: "one", actions: [], ...failure } } } };
}

function errorOf(failure: Record<string, string>): string | null {
  const end = toTurnEnd({ stopReason: "end_turn", _meta: told({ severity: "error", ...failure }) }, OPTIONS);
  return "error" in end ? end.error : null;
}

Deno.test("a failure that is told in an answer like a good end is a failure, in our words where we have some", () => {
  const busy = "The AI service is temporarily busy, also after several tries. Run the task again in a few minutes.";
  assertEquals(errorOf({ category: "limit", title: "Something about limits" }), busy);
  assertEquals(errorOf({ category: "service", title: "We're currently experiencing high demand" }), busy);
  assertEquals(
    errorOf({ category: "connection", title: "stream closed" }),
    "The AI service failed or could not be reached, also after several tries. Run the task again in a few minutes.",
  );
  assertEquals(
    errorOf({ category: "request", title: "Bad key sk-abcdefghijklmnop" }),
    "Codex reported an error: Bad key [secret]",
  );
  assertEquals(errorOf({ category: "request" }), "Codex reported an error: it did not say which");
});

Deno.test("a turn that was told to end was cancelled, also where it is answered as if it had ended by itself", () => {
  const end = (stopReason: "end_turn" | "refusal", wasCancelled: boolean) => {
    const read = toTurnEnd({ stopReason }, { ...OPTIONS, wasCancelled });
    return "error" in read ? read.error : read.stopReason;
  };
  assertEquals([end("end_turn", true), end("end_turn", false), end("refusal", true)], [
    "cancelled",
    "end_turn",
    "refusal",
  ]);
});

Deno.test("what a turn has used is read from the protocol's own field or from where else it is told, in whole numbers", () => {
  const usage = { inputTokens: 10.5, outputTokens: 2, totalTokens: 12 };
  const quota = { token_count: { input_tokens: 7, output_tokens: -3 } };
  const tokensOf = (answer: Record<string, unknown>) => {
    const end = toTurnEnd({ stopReason: "end_turn", ...answer }, OPTIONS);
    return "error" in end ? end.error : end.tokens;
  };
  assertEquals(tokensOf({ usage, _meta: { quota } }), { input: 10, output: 2, total: 12 });
  assertEquals(tokensOf({ usage: null, _meta: { quota } }), { input: 7, output: 0, total: 7 });
  assertEquals(tokensOf({ usage: { inputTokens: "many" }, _meta: { quota: { token_count: null } } }), null);
});

Deno.test("a try again that is told in an update about the session is shown; the last one is told with the end", () => {
  const read = (severity: string, category: string) =>
    readUpdate({
      sessionId: "one",
      update: { sessionUpdate: "session_info_update", _meta: told({ severity, category, title: "Reconnecting… 1/5" }) },
    })?.update;
  assertEquals(read("warning", "connection"), {
    sessionUpdate: "model_retry",
    text: "The connection to the AI service broke. Retrying automatically…",
  });
  assertEquals(read("warning", "service"), {
    sessionUpdate: "model_retry",
    text: "The AI service is temporarily busy. Retrying automatically…",
  });
  assertEquals(read("error", "service"), { sessionUpdate: "unknown", kind: "session_info_update" });
});
