/**
 * The edge as a process of its own: what `main.ts` starts, with a clock that can jump, and with agents whose clock can
 * jump by itself: CHAOS_AGENT_DENO is what they are started with.
 */
import "./clock.ts";
import { readEdgeConfig } from "../../lib/config.ts";
import { createLogger } from "../../lib/log.ts";

const agentDeno = Deno.env.get("CHAOS_AGENT_DENO")!;
Object.defineProperty(Deno, "execPath", { value: () => agentDeno });

const { startEdge } = await import("../../main.ts");
const environment = Deno.env.toObject();
const config = readEdgeConfig(environment);
const stop = Promise.withResolvers<void>();
Deno.addSignalListener("SIGTERM", () => stop.resolve());
const running = await startEdge({ config, environment, log: createLogger(config.LOG_LEVEL) });
await stop.promise;
await running[Symbol.asyncDispose]();
Deno.exit(0);
