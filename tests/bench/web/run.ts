/**
 * `deno task bench:web`: the figures of the page in a real Chromium, each printed when it is known. The last one takes
 * ten minutes of streaming; BENCH_STREAM_SECONDS makes it shorter.
 */
import { lineOf, print } from "../run.ts";
import { measurePage, STREAM_MS } from "./page_bench.ts";

print(`\nThe project page in Chromium, the stream of ${STREAM_MS / 1_000} s last`);
for await (const figure of measurePage()) print(lineOf(figure));
Deno.exit(0);
