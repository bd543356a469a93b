/** The warm pool: what it has ready, what it does without, over real processes. */
import { assert, assertEquals } from "@std/assert";
import { Prewarm, type Recipe } from "../../../agent/coding/prewarm.ts";
import { demoProfile, launchOf, QUIET } from "./harness.ts";

async function withPool(size: number, work: (pool: Prewarm, recipe: Recipe) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await using pool = new Prewarm({ size, cwd: folder, instanceId: crypto.randomUUID(), log: QUIET });
    const { profile, env, limits } = launchOf(folder);
    await work(pool, { profile, env, limits, session: { cwd: folder, mcpServers: [], fingerprint: "1" } });
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

Deno.test("TASK-007-AC4 an empty pool answers null at once, a ready process comes with its session, and is replaced", () =>
  withPool(1, async (pool, recipe) => {
    assertEquals(pool.takeReady(recipe), null);
    await pool.whenReady();
    await using session = pool.takeReady(recipe);
    assert(session?.isAlive && session.sessionId !== null);
    assertEquals(pool.takeReady(recipe), null);
    assertEquals(await pool.whenReady(), 1);
  }));

Deno.test("a warm process is dropped when what it found on the disk is no longer what is there", () =>
  withPool(1, async (pool, recipe) => {
    await pool.start(recipe);
    const changed = { ...recipe, session: { ...recipe.session!, fingerprint: "2" } };
    assertEquals(pool.takeReady(changed), null);
    assertEquals(await pool.whenReady(), 1);
    await using session = pool.takeReady(changed);
    assert(session?.isAlive);
  }));
