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
