/** Two edge processes on one store file at one warm node: one winner each time. */
import { assertEquals } from "@std/assert";
import { change } from "../../../lib/store/change.ts";
import { nodeKey } from "../../../lib/store/keys.ts";
import type { NodeRecord } from "../../../lib/store/nodes.ts";
import { openStore } from "../../../lib/store/store.ts";
import { warmRecord } from "./node_records.ts";

const ROUNDS = 50;
const CHILD = new URL("claim_child.ts", import.meta.url).pathname;

/** A process that answers each line with one. */
class Claimer implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #lines: ReadableStreamDefaultReader<string>;
  #rest = "";

  constructor(dataDir: string) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", CHILD, dataDir],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async ask(line: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${line}\n`));
    return await this.read();
  }

  async read(): Promise<string> {
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#lines.read();
      if (done) throw new Error("the process ended");
      this.#rest += value;
    }
    const [line, ...rest] = this.#rest.split("\n");
    this.#rest = rest.join("\n");
    return line!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#child.status;
    await this.#lines.cancel();
  }
}

Deno.test(`two edge processes at one warm node, ${ROUNDS} times: one winner each time`, async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "hearth-claims-" });
  const store = await openStore(`${dataDir}/hearth.kv`);
  const wins = { a: 0, b: 0 };
  try {
    // One after the other: the first start makes the secrets that both share.
    await using a = new Claimer(dataDir);
    assertEquals(await a.read(), "ready");
    await using b = new Claimer(dataDir);
    assertEquals(await b.read(), "ready");
    for (let round = 0; round < ROUNDS; round++) {
      const node = warmRecord(Date.now(), { id: crypto.randomUUID(), warmUntil: Date.now() + 600_000 });
      await change(store, (tx) => Promise.resolve(tx.set(nodeKey(node.id), node)));
      const asked = round % 2
        ? [a.ask(`${node.id} of-a`), b.ask(`${node.id} of-b`)]
        : [b.ask(`${node.id} of-b`), a.ask(`${node.id} of-a`)].reverse();
      const [first, second] = await Promise.all(asked);
      assertEquals([first, second].toSorted(), ["false", "true"], `round ${round}`);
      const winner = first === "true" ? "a" : "b";
      wins[winner]++;
      const after = (await store.kv.get<NodeRecord>(nodeKey(node.id))).value!;
      assertEquals([after.status, after.claims.map(({ taskId }) => taskId)], ["active", [`of-${winner}`]]);
    }
  } finally {
    store.close();
    await Deno.remove(dataDir, { recursive: true });
  }
  // A race in which the same one always wins proves nothing.
  assertEquals([wins.a > 0, wins.b > 0], [true, true], JSON.stringify(wins));
});
