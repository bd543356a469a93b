/**
 * `deno task chaos [--seeds N] [--from S] [--seed S] [--at-once K] [--minutes M]`: breaks whole installations, one for
 * each seed, and compares what is stored with what the coding agent said. Ends with 1 when a message was lost, doubled
 * or out of order.
 */
import { parseArgs } from "node:util";
import { runSeed, type SeedResult } from "./run_seed.ts";

const options = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "20" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    "at-once": { type: "string", default: "2" },
    minutes: { type: "string" },
  },
}).values;

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const first = Number(options.seed ?? options.from);
  const count = options.seed ? 1 : Number(options.seeds);
  const until = options.minutes ? Date.now() + Number(options.minutes) * 60_000 : Infinity;
  const started = performance.now();
  const results: SeedResult[] = [];
  let next = first;
  const work = async () => {
    while (next < first + count && Date.now() < until) {
      const result = await runSeed(next++, { canFillDisk: canFillDisk() });
      results.push(result);
      await tell(result);
    }
  };
  await Promise.all(Array.from({ length: Number(options["at-once"]) }, work));
  return summarize(results, Math.round((performance.now() - started) / 1_000));
}

async function tell(result: SeedResult): Promise<void> {
  const verdict = result.faults.length === 0 ? "ok  " : "FAIL";
  const bounded = result.bounded > 0 ? `, ${result.bounded} cut and bounded` : "";
  say(`${verdict} seed ${result.seed}: ${result.messages} messages${bounded}, ${result.ms} ms; ${result.plan}`);
  if (result.faults.length === 0) return;
  for (const fault of result.faults) say(`     ${fault}`);
  const file = await Deno.makeTempFile({ prefix: `chaos-${result.seed}-`, suffix: ".log" });
  await Deno.writeTextFile(file, result.logs ?? "");
  say(`     logs: ${file}\n     replay: deno task chaos --seed ${result.seed}`);
}

function summarize(results: SeedResult[], seconds: number): number {
  const sum = (pick: (result: SeedResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  const failed = results.filter((result) => result.faults.length > 0);
  say(
    `${results.length} seeds in ${seconds} s: ${sum((r) => r.messages)} messages, ` +
      `${sum((r) => r.disturbed)} disturbed requests, ${failed.length} failed`,
  );
  for (const [blow, { fallen, midSpeech }] of countBlows(results)) {
    say(`  ${blow}: ${fallen}, ${midSpeech} of them while somebody spoke`);
  }
  say(
    `  ${sum((r) => r.bounded)} prompts were cut by a kill after words that had to be there all the same, ` +
      `in ${results.filter((r) => r.bounded > 0).length} seeds`,
  );
  if (failed.length > 0) say(`failed: ${failed.map((result) => result.seed).join(" ")}`);
  return failed.length > 0 ? 1 : 0;
}

function countBlows(results: SeedResult[]): Map<string, { fallen: number; midSpeech: number }> {
  const counts = new Map<string, { fallen: number; midSpeech: number }>();
  for (const { blow, isMidSpeech } of results.flatMap((result) => result.blows)) {
    const count = counts.get(blow) ?? { fallen: 0, midSpeech: 0 };
    counts.set(blow, { fallen: count.fallen + 1, midSpeech: count.midSpeech + (isMidSpeech ? 1 : 0) });
  }
  return counts;
}

/** Making a small file system needs root. */
function canFillDisk(): boolean {
  return Deno.build.os === "linux" && Deno.uid() === 0;
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
