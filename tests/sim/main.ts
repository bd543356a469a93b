/**
 * `deno task sim [--seeds N] [--from S] [--seed S] [--steps K] [--stop-first]`: runs seeds of the simulation. Ends with 1
 * when a rule was broken; then it says which, what led to it, and how to see the same again.
 */
import { parseArgs } from "node:util";
import { runSeed, type SeedResult } from "./run_seed.ts";

/** Lines of the trace that are shown before what was found. */
const LINES_SHOWN = 60;
const TELL_EVERY = 500;

const options = parseArgs({
  args: Deno.args,
  options: {
    seeds: { type: "string", default: "200" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    steps: { type: "string" },
    "stop-first": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
}).values;

if (import.meta.main) Deno.exit(await main());

async function main(): Promise<number> {
  const first = Number(options.seed ?? options.from);
  const count = options.seed ? 1 : Number(options.seeds);
  const steps = options.steps ? Number(options.steps) : undefined;
  const total: Total = { seeds: 0, steps: 0, virtualMs: 0, failed: [] };
  const began = performance.now();
  for (let seed = first; seed < first + count; seed++) {
    const result = await runSeed(seed, { steps });
    total.seeds++;
    total.steps += result.steps;
    total.virtualMs += result.virtualMs;
    if (options.verbose) say(result.trace.join("\n"));
    if (result.findings.length > 0) {
      total.failed.push(seed);
      tell(result);
      if (options["stop-first"]) break;
    }
    if (total.seeds % TELL_EVERY === 0) say(summary(total, began));
  }
  say(summary(total, began));
  return total.failed.length > 0 ? 1 : 0;
}

function tell({ seed, findings, trace }: SeedResult): void {
  say(`FAIL seed ${seed}\n${trace.slice(-LINES_SHOWN).join("\n")}`);
  for (const finding of findings) say(`  ${finding}`);
  say(`  replay: deno task sim --seed ${seed}${options.steps ? ` --steps ${options.steps}` : ""} --verbose\n`);
}

interface Total {
  seeds: number;
  steps: number;
  virtualMs: number;
  failed: number[];
}

function summary(total: Total, began: number): string {
  const seconds = Math.round((performance.now() - began) / 1_000);
  const days = (total.virtualMs / 86_400_000).toFixed(1);
  const failed = total.failed.length > 0 ? `${total.failed.length} failed: ${total.failed.join(" ")}` : "0 failed";
  return `${total.seeds} seeds, ${total.steps} steps, ${days} virtual days in ${seconds} s; ${failed}`;
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
