import { assertEquals } from "@std/assert";
import { drain } from "../../../lib/auth/limits.ts";

const RULE = { perSecond: 10, burst: 3 };

Deno.test("a bucket gives its burst at once, then as many as the rule says, and tells how long to wait", () => {
  let { bucket, waitMs } = drain(undefined, RULE, 0);
  for (let i = 0; i < 2; i++) ({ bucket, waitMs } = drain(bucket, RULE, 0));
  assertEquals([bucket.level, waitMs], [0, 0]);
  ({ bucket, waitMs } = drain(bucket, RULE, 0));
  assertEquals(waitMs, 100);
  assertEquals(drain(bucket, RULE, 100).waitMs, 0);
  assertEquals(drain(bucket, RULE, 10_000).bucket.level, 2, "never more than the burst");
});

Deno.test("a clock that was set back makes nobody wait for it", () => {
  const { bucket } = drain(undefined, RULE, 1_000_000);
  const back = drain(bucket, RULE, 700_000);
  assertEquals([back.waitMs, back.bucket.level], [0, 1]);
  const empty = drain({ level: 0, at: 1_000_000 }, RULE, 700_000);
  assertEquals(empty.waitMs, 100);
  assertEquals(drain(empty.bucket, RULE, 700_100).waitMs, 0);
});
