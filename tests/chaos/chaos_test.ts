/**
 * No message is lost, doubled or out of order, the short run: whole installations are broken by a plan that follows from
 * a seed, and what is stored equals what the coding agent said. `deno task chaos --seeds 1000` is the long one.
 */
import { assertEquals } from "@std/assert";
import { runSeed, type SeedResult } from "./run_seed.ts";

const SEEDS = 20;
/** They wait more than they work. */
const AT_ONCE = 4;
const canFillDisk = Deno.build.os === "linux" && Deno.uid() === 0;

Deno.test(`no message is lost, doubled or out of order in ${SEEDS} broken installations`, async () => {
  const results: SeedResult[] = [];
  let next = 1;
  const work = async () => {
    while (next <= SEEDS) results.push(await runSeed(next++, { canFillDisk }));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const failed = results.filter((result) => result.faults.length > 0).map((result) =>
    `seed ${result.seed} (${result.plan}):\n  ${
      result.faults.join("\n  ")
    }\n  replay: deno task chaos --seed ${result.seed}`
  );
  assertEquals(failed, []);
  const stored = results.reduce((sum, result) => sum + result.messages, 0);
  const disturbed = results.reduce((sum, result) => sum + result.disturbed, 0);
  assertEquals([stored > 100, disturbed > 50], [true, true], `${stored} messages, ${disturbed} disturbed requests`);
});

Deno.test({
  name: "a full disk on a node: nothing already said is lost",
  // Filling a disk needs a small file system of its own, and making one needs root.
  ignore: !canFillDisk,
  fn: async () => {
    const result = await runSeed(1, {
      canFillDisk,
      events: [{ since: "speech", atMs: 300, blow: "disk_full", ms: 1_500 }],
    });
    assertEquals(result.faults, []);
  },
});
