/**
 * `deno task bench:web`: the figures of the page in a real Chromium. Streaming takes ten minutes;
 * BENCH_STREAM_SECONDS makes it shorter.
 */
import { lineOf, print } from "../run.ts";
import { bench } from "./page_bench.ts";

print(`\n${bench.title}`);
for (const figure of await bench.measure()) print(lineOf(figure));
Deno.exit(0);
