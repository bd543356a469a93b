import { assertEquals } from "@std/assert";
import { type BatchAction, decideBatch, decideReport } from "../../../agent/delivery/retry.ts";
import { Patience } from "../../../agent/delivery/patience.ts";

const kind = (status: number, body: unknown = null): BatchAction["kind"] => decideBatch({ status, body }, 3).kind;

Deno.test("each status of a batch has one meaning", () => {
  const full = { persisted: 2, duplicates: 1, lastSeq: 9 };
  assertEquals(decideBatch("unreachable", 3), { kind: "retry" });
  assertEquals(kind(200, full), "accepted");
  assertEquals(kind(200, { ...full, persisted: 3 }), "retry");
  assertEquals(kind(200, { ...full, persisted: 1 }), "retry");
  assertEquals(kind(200, { ...full, duplicates: -1, persisted: 4 }), "retry");
  for (const status of [100, 201, 204, 301, 302, 308, 408, 425, 429, 500, 502, 503, 504, 520]) {
    assertEquals(kind(status, full), "retry", `${status}`);
  }
  for (const status of [403, 404, 409, 410, 405, 418, 421, 426]) assertEquals(kind(status), "hold", `${status}`);
  assertEquals(kind(401), "renew");
  assertEquals(kind(413), "halve");
});

Deno.test("a 400 that names a row costs that row; one that does not makes the rows go singly", () => {
  assertEquals(decideBatch({ status: 400, body: { index: 2 } }, 3), { kind: "dead_row", index: 2 });
  assertEquals(decideBatch({ status: 400, body: { index: 3 } }, 3), { kind: "row_by_row" });
  assertEquals(decideBatch({ status: 400, body: "?" }, 3), { kind: "row_by_row" });
  assertEquals(decideBatch({ status: 400, body: null }, 1), { kind: "dead_row", index: 0 });
});

Deno.test("session_full says how many rows still fit; without a number the line waits", () => {
  const body = { error: "session_full", remaining: 0 };
  assertEquals(decideBatch({ status: 409, body }, 3), { kind: "partial", remaining: 0 });
  assertEquals(decideBatch({ status: 409, body: { ...body, remaining: 3 } }, 3), { kind: "hold" });
  assertEquals(decideBatch({ status: 409, body: { error: "session_full" } }, 3), { kind: "hold" });
});

Deno.test("a wait that the edge asks for is kept", () => {
  assertEquals(decideBatch({ status: 429, body: null, retryAfterMs: 7 }, 1), { kind: "retry", afterMs: 7 });
  assertEquals(decideReport({ status: 503, body: null, retryAfterMs: 7 }), { kind: "retry", afterMs: 7 });
});

Deno.test("a report ends with an answer or a refusal, and is tried again for everything else", () => {
  const of = (status: number, body: unknown) => decideReport({ status, body }).kind;
  assertEquals([of(200, {}), of(202, {}), of(204, null)], ["answered", "answered", "answered"]);
  for (const status of [400, 403, 404, 409, 410, 422]) assertEquals(of(status, {}), "refused", `${status}`);
  for (const status of [302, 401, 408, 425, 429, 500, 503]) assertEquals(of(status, {}), "retry", `${status}`);
  assertEquals(of(200, null), "retry");
  assertEquals(decideReport("unreachable").kind, "retry");
});

Deno.test("waits lie between the shortest interval and one that doubles, and after long failure are the longest", () => {
  const config = { msgRetryInitialIntervalMs: 100, msgRetryMaxIntervalMs: 1_000, msgRetryMaxElapsedTimeMs: 5_000 };
  const waits = (random: number) => {
    const patience = new Patience(config, () => random);
    const grown = [0, 1, 2, 3, 4, 5_000].map((now) => patience.failed(now));
    const worn = [patience.failed(5_001), patience.failed(5_002, 3), patience.failed(900_000)];
    patience.succeeded();
    return [...grown, ...worn, patience.failed(900_001)];
  };
  assertEquals(waits(0), [100, 100, 100, 100, 100, 100, 1_000, 3, 1_000, 100]);
  assertEquals(waits(1), [200, 400, 800, 1_000, 1_000, 1_000, 1_000, 3, 1_000, 200]);
  assertEquals(waits(0.5).slice(0, 4), [150, 250, 450, 550]);
});
