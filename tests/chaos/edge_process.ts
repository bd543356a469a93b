/**
 * The edge as a process of its own: what `main.ts` starts, with a clock that can jump. The file named by CHAOS_CLOCK
 * holds the milliseconds by which this edge's clock is wrong; it is read at the start and again on SIGUSR2.
 */
import { readEdgeConfig } from "../../lib/config.ts";
import { createLogger } from "../../lib/log.ts";

const RealDate = Date;
let skewMs = 0;

function readSkew(): void {
  try {
    skewMs = Number(Deno.readTextFileSync(Deno.env.get("CHAOS_CLOCK")!)) || 0;
  } catch {
    skewMs = 0;
  }
}

readSkew();
Deno.addSignalListener("SIGUSR2", readSkew);
globalThis.Date = class extends RealDate {
  constructor(value?: number | string | Date) {
    super(value ?? RealDate.now() + skewMs);
  }
  static override now(): number {
    return RealDate.now() + skewMs;
  }
} as DateConstructor;

const { startEdge } = await import("../../main.ts");
const environment = Deno.env.toObject();
const config = readEdgeConfig(environment);
const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => stop.resolve());
const running = await startEdge({ config, environment, log: createLogger(config.LOG_LEVEL) });
await stop.promise;
await running[Symbol.asyncDispose]();
Deno.exit(0);
