/**
 * Races end well, the short run: tasks, nodes, claims, sweeps and callbacks in random order on a virtual clock, with
 * faults and crashes between any two steps. `deno task sim --seeds 10000` is the long one.
 */
import { assert, assertEquals } from "@std/assert";
import { runSeed } from "./run_seed.ts";

const SEEDS = 200;
/** Of the trace, before what was found. */
const LINES_SHOWN = 40;

Deno.test(`no rule is broken, and everything comes to its end, in ${SEEDS} simulated installations`, async () => {
  const total = { steps: 0, virtualMs: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { findings, trace, steps, virtualMs } = await runSeed(seed);
    const story = [...trace.slice(-LINES_SHOWN), `replay: deno task sim --seed ${seed} --verbose`].join("\n");
    assertEquals(findings, [], story);
    total.steps += steps;
    total.virtualMs += virtualMs;
  }
  // A simulation in which nothing happens breaks no rule.
  assert(total.steps > SEEDS * 1_000, `only ${total.steps} steps`);
  assert(total.virtualMs > SEEDS * 600_000, `only ${total.virtualMs} virtual ms`);
});

Deno.test("a seed is the same story each time", async () => {
  for (const seed of [3, 79, 118]) {
    const [first, again] = [await runSeed(seed), await runSeed(seed)];
    assertEquals(first.trace.map(withoutIds), again.trace.map(withoutIds));
    assertEquals([first.steps, first.virtualMs], [again.steps, again.virtualMs]);
  }
});

/** Ids are made anew each time; the order of what happens is the seed's. */
function withoutIds(line: string): string {
  return line.replaceAll(/…[0-9a-f]{4}/g, "…");
}
