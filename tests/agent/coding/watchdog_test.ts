import { assertEquals } from "@std/assert";
import { Watchdog } from "../../../agent/coding/watchdog.ts";
import { setClock } from "../../set_clock.ts";

const LIMITS = { turnStallTimeoutMs: 150, toolStallTimeoutMs: 600_000 };

Deno.test("silence ends a turn, and a machine's clock that is set forward is no silence", async () => {
  const stalled = Promise.withResolvers<number>();
  const watchdog = new Watchdog(LIMITS, stalled.resolve);
  try {
    using _forward = setClock(3_600_000);
    watchdog.noteTool("build", "in_progress");
    // The limit of a tool is minutes away: looked at now, the turn goes on.
    watchdog.noteTool("build", "completed");
    const afterMs = await stalled.promise;
    assertEquals([afterMs >= LIMITS.turnStallTimeoutMs, afterMs < 3_600_000], [true, true], `${afterMs}`);
  } finally {
    watchdog.stop();
  }
});

Deno.test("while somebody is asked silence means nothing, and the time for an answer to a cancellation still counts", async () => {
  const stalls: number[] = [];
  const stalled = Promise.withResolvers<void>();
  const watchdog = new Watchdog(LIMITS, (afterMs) => {
    stalls.push(afterMs);
    stalled.resolve();
  });
  try {
    const [first, second] = [watchdog.hold(), watchdog.hold()];
    first[Symbol.dispose]();
    // Several times the limit, while one of two still waits.
    await new Promise((resolve) => setTimeout(resolve, 4 * LIMITS.turnStallTimeoutMs));
    assertEquals(stalls, []);
    second[Symbol.dispose]();
    await stalled.promise;
    assertEquals(stalls.length >= 1, true);
  } finally {
    watchdog.stop();
  }
  const ended = Promise.withResolvers<number>();
  const cancelled = new Watchdog(LIMITS, ended.resolve);
  using _hold = cancelled.hold();
  cancelled.limitTo(50);
  await ended.promise;
  cancelled.stop();
});
