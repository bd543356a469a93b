import { assertEquals, assertStringIncludes } from "@std/assert";
import { RequestError } from "@agentclientprotocol/sdk/unstable";
import { explainError, isFailureText } from "../../../agent/coding/failure.ts";
import { readRetry } from "../../../agent/coding/model_retry.ts";
import { explainFailure } from "../../../agent/serve/errors.ts";

const CLAUDE = { label: "Claude Code" };

function internal(message: string, errorKind?: string): RequestError {
  return new RequestError(-32_603, `Internal error: ${message}`, errorKind ? { errorKind } : undefined);
}

Deno.test("what a person can do stands in the error, and nothing of the model's own text", () => {
  const cases: [RequestError, string | null, string][] = [
    [new RequestError(-32_000, "Authentication required"), null, "Store a working key on the page Credentials"],
    [internal("API Error: 401 secret words", "authentication_failed"), null, "Store a working key"],
    [internal("API Error: Request rejected (429) · secret words", "rate_limit"), null, "temporarily busy"],
    // The adapter calls 529 a server error: its text tells more.
    [internal("API Error: 529 secret words", "server_error"), "API Error: 529 secret words", "temporarily busy"],
    [internal("API Error: 500 secret words", "server_error"), null, "failed or could not be reached"],
    [
      internal('{"error":{"code":401,"message":"secret words","status":"UNAUTHENTICATED"}}'),
      null,
      "Store a working key",
    ],
    // The model's own words under a name, as OpenCode passes them on.
    [
      new RequestError(-32_603, "Internal error: Overloaded secret words", { errorName: "APIError" }),
      null,
      "temporarily busy",
    ],
    [internal("Credit balance is too low", "billing_error"), null, "has no credit left"],
  ];
  for (const [error, said, expected] of cases) {
    const told = explainError(error, { ...CLAUDE, said });
    assertStringIncludes(told, expected);
    assertEquals(told.includes("secret words"), false, told);
  }
  assertEquals(
    explainError(internal("the disk is full"), CLAUDE),
    "Claude Code reported an error: the disk is full",
  );
});

Deno.test("the chat engine tells the same failures in its own sentences", () => {
  const action = (error: RequestError) => explainFailure(explainError(error, CLAUDE)).action;
  assertEquals(action(new RequestError(-32_000, "Authentication required")), "check_key");
  const busy = explainFailure(explainError(internal("API Error: 529 overloaded", "overloaded"), CLAUDE));
  assertEquals(busy, { error: "The AI service is temporarily busy. Retrying automatically…", action: "retry" });
});

Deno.test("an answer that speaks of errors is none", () => {
  assertEquals(isFailureText("API Error: 529 overloaded"), true);
  assertEquals(isFailureText("Failed to authenticate. API Error: 401 invalid"), true);
  assertEquals(isFailureText("The API Error: 529 means that the service is busy."), false);
});

Deno.test("a retry says what is the matter and how often it was tried; other raw messages say nothing", () => {
  const message = { type: "system", subtype: "api_retry", attempt: 2, max_retries: 4, error_status: 529 };
  assertEquals(readRetry({ sessionId: "s", message }), {
    sessionId: "s",
    update: {
      sessionUpdate: "model_retry",
      text: "The AI service is temporarily busy. Retrying automatically… (2 of 4)",
    },
  });
  const broken = readRetry({ sessionId: "s", message: { ...message, error_status: null } });
  assertStringIncludes(broken?.update.text ?? "", "connection to the AI service broke");
  assertEquals(readRetry({ sessionId: "s", message: { ...message, subtype: "status" } }), null);
  assertEquals(readRetry({ message }), null);
});
