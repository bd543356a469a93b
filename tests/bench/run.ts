/**
 * `deno task bench [name…]`: runs the benches in this folder one after the other and prints their figures against their
 * goals. A missed goal is shown and does not fail: machines differ, ratios within one run are what counts.
 */
import type { Bench, Figure } from "./figure.ts";

async function main(names: string[]): Promise<void> {
  const files = [...Deno.readDirSync(import.meta.dirname!)].map((entry) => entry.name).filter((name) =>
    name.endsWith("_bench.ts")
  );
  const wanted = files.filter((file) => names.length === 0 || names.some((name) => file.includes(name))).sort();
  for (const file of wanted) {
    const { bench } = await import(`./${file}`) as { bench: Bench };
    print(`\n${bench.title}`);
    for (const figure of await bench.measure()) print(lineOf(figure));
  }
}

export function lineOf(figure: Figure): string {
  const value = figure.value >= 100 ? Math.round(figure.value).toLocaleString("en") : figure.value.toPrecision(3);
  const { atLeast, atMost } = figure.goal ?? {};
  const missed = (atLeast !== undefined && figure.value < atLeast) || (atMost !== undefined && figure.value > atMost);
  const goal = atLeast !== undefined ? `goal ≥ ${atLeast}` : atMost !== undefined ? `goal ≤ ${atMost}` : "";
  const verdict = goal ? (missed ? "missed" : "met") : "";
  return `  ${figure.name.padEnd(58)} ${value.padStart(10)} ${figure.unit.padEnd(6)} ${goal.padEnd(14)} ${
    verdict.padEnd(7)
  } ${figure.note ?? ""}`.trimEnd();
}

export function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

if (import.meta.main) await main(Deno.args);
