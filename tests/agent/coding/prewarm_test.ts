/** The warm pool: what it has ready, what it does without, over real processes. */
import { assert, assertEquals } from "@std/assert";
import { type Launch, Prewarm } from "../../../agent/coding/prewarm.ts";
import { demoProfile, launchOf, QUIET } from "./harness.ts";

async function withPool(size: number, work: (pool: Prewarm, recipe: Launch) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using pool = new Prewarm({ size, cwd: folder, instanceId: crypto.randomUUID(), log: QUIET });
    await work(pool, { ...launchOf(folder), session: { cwd: folder, mcpServers: [], fingerprint: "1" } });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("TASK-007-AC1 the start succeeds as soon as one process is ready", () =>
  withPool(2, async (pool, recipe) => {
    assertEquals(await pool.start(recipe), true);
    assert(pool.depth >= 1);
  }));

Deno.test("the start fails when no process can be made ready", () =>
  withPool(2, async (pool, recipe) => {
    const profile = demoProfile({ command: "/bin/false", args: [] });
    assertEquals(await pool.start({ ...recipe, profile }), false);
    assertEquals(pool.depth, 0);
  }));

Deno.test("TASK-007-AC4 a ready process comes with its session and is replaced; an empty pool starts one cold and says so", () =>
  withPool(1, async (pool, launch) => {
    const told: string[] = [];
    const first = await pool.take(launch, () => told.push("cold"));
    await using cold = first.session;
    assertEquals([first.warm, told], [false, ["cold"]]);
    await pool.whenReady();
    const second = await pool.take(launch, () => told.push("cold"));
    await using warm = second.session;
    assert(second.warm && warm.isAlive && warm.sessionId !== null && cold.isAlive);
    assertEquals(told, ["cold"]);
    assertEquals(await pool.whenReady(), 1);
  }));

Deno.test("a warm process is dropped when what it found on the disk is no longer what is there", () =>
  withPool(1, async (pool, launch) => {
    await pool.start(launch);
    const changed = { ...launch, session: { ...launch.session!, fingerprint: "2" } };
    const taken = await pool.take(changed);
    await using cold = taken.session;
    assertEquals([taken.warm, cold.isAlive], [false, true]);
    assertEquals(await pool.whenReady(), 1);
    const again = await pool.take(changed);
    await using warm = again.session;
    assert(again.warm && warm.isAlive);
  }));
