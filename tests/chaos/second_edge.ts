/** Another instance of the edge on the store of a first one, with a thread of its own. */
import { join } from "node:path";

/** What instances of one edge share. */
const SECRETS = { JWT_SECRET: "x".repeat(48), ENCRYPTION_KEY: `k1:${btoa("k".repeat(32))}` };

export class SecondEdge implements AsyncDisposable {
  readonly url: string;
  readonly #worker: Worker;

  private constructor(url: string, worker: Worker) {
    this.url = url;
    this.#worker = worker;
  }

  /** The environment of the first instance, with its store in `directory`. */
  static environment(directory: string): Record<string, string> {
    return { HEARTH_KV: join(directory, "store.kv"), ...SECRETS };
  }

  /** On the store that a first instance has opened in `directory`, with limits of its own. */
  static async start(directory: string, limits: Record<string, string> = {}): Promise<SecondEdge> {
    const worker = new Worker(new URL("./second_edge_worker.ts", import.meta.url).href, { type: "module" });
    const greeting = hear(worker);
    // One agent sends faster here than an edge lets it by default.
    const rates = { RATE_NODE_PER_SECOND: "100000", RATE_NODE_BURST: "100000" };
    worker.postMessage({
      env: { ...SecondEdge.environment(directory), ...rates, ...limits, HEARTH_DATA_DIR: directory, PORT: "0" },
    });
    return new SecondEdge(await greeting, worker);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = hear(this.#worker);
    this.#worker.postMessage("end");
    await ended;
    this.#worker.terminate();
  }
}

/** The next word of a worker. */
function hear(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    worker.onmessage = (event) => resolve(String(event.data));
    worker.onerror = (event) => reject(new Error(event.message));
  });
}
