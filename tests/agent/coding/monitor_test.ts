import { assert, assertEquals } from "@std/assert";
import { readRss } from "../../../agent/coding/memory.ts";
import { check, type Limits, type SessionFacts } from "../../../agent/coding/monitor.ts";

const MIB = 1024 * 1024;
const LIMITS: Limits = {
  maxDurationMs: 1_000_000,
  warningPercent: 90,
  maxRssBytes: 100 * MIB,
  idleTimeoutMs: 300_000,
  idleGraceMs: 50_000,
};

function at(now: number, change: Partial<SessionFacts> = {}, limits: Partial<Limits> = {}) {
  const session: SessionFacts = {
    sessionId: "s",
    startedAtMs: 0,
    lastActiveAtMs: now,
    rssBytes: MIB,
    isTurnRunning: false,
    isIdle: false,
    wasWarned: false,
    ...change,
  };
  return check([session], { now, limits: { ...LIMITS, ...limits } });
}

Deno.test("TASK-008-AC1 the resident size of a process is known, of none it is null", async () => {
  const size = await readRss(Deno.pid);
  assert(size !== null && size > 10 * MIB && size < 4_096 * MIB, `${size}`);
  assertEquals(await readRss(2 ** 30), null);
});

Deno.test("TASK-008-AC2 at 90 % of the duration a session is warned, once, with what is left", () => {
  assertEquals(at(899_999), []);
  assertEquals(at(900_000), [{ type: "warn_duration", sessionId: "s", remainingSeconds: 100 }]);
  assertEquals(at(950_000, { wasWarned: true }), []);
});

Deno.test("TASK-008-AC3 at the whole duration it is ended", () => {
  assertEquals(at(1_000_000, { wasWarned: true }), [{ type: "terminate_duration", sessionId: "s" }]);
});

Deno.test("TASK-008-AC4 over the memory limit it is started anew, over twice the limit it is ended", () => {
  assertEquals(at(1, { rssBytes: 100 * MIB }), []);
  const over = { rssBytes: 100 * MIB + 1 };
  assertEquals(at(1, over), [{ type: "restart_memory", sessionId: "s", ...over }]);
  const twice = { rssBytes: 200 * MIB + 1 };
  assertEquals(at(1, twice), [{ type: "force_kill_memory", sessionId: "s", ...twice }]);
  assertEquals(at(1, { rssBytes: null }), []);
});

Deno.test("TASK-019-AC3 who does nothing becomes idle and is ended after the grace; a running turn never idles", () => {
  const quiet = (ms: number, change: Partial<SessionFacts> = {}) => at(ms, { lastActiveAtMs: 0, ...change });
  assertEquals(quiet(299_999), []);
  assertEquals(quiet(300_000), [{ type: "mark_idle", sessionId: "s" }]);
  assertEquals(quiet(320_000, { isIdle: true }), []);
  assertEquals(quiet(350_000, { isIdle: true }), [{ type: "end_idle", sessionId: "s" }]);
  assertEquals(quiet(800_000, { isTurnRunning: true }), []);
});

Deno.test("processes that belong to no session are cleaned up", () => {
  const process = { pid: 7, startTicks: 9 };
  assertEquals(check([], { now: 0, limits: LIMITS, orphans: [process] }), [{ type: "cleanup_zombie", process }]);
});
