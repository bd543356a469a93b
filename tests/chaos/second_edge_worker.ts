/** A second instance of the edge in a Worker of the same process, on the store of the first: answers with its address. */
import { z } from "zod";
import { readEdgeConfig } from "../../lib/config.ts";
import { composeEdge } from "../../lib/admin/compose.ts";
import { createLogger } from "../../lib/log.ts";
import { listen } from "../../routes/_listen.ts";
import { createApp } from "../../routes/mod.ts";

const start = z.object({ env: z.record(z.string(), z.string()) });
const EMPTY = { version: 1, entry: "", stylesheet: "", icon: "", preloads: [], islands: {}, files: {} } as const;

// deno-lint-ignore no-explicit-any -- the types of a page's global scope stand in for those of a worker's
const scope = globalThis as any;

scope.onmessage = async (event: MessageEvent) => {
  const config = readEdgeConfig(start.parse(event.data).env);
  const log = createLogger("error");
  const edge = await composeEdge({ config, log, agentCommand: [], agentEnvironment: {} });
  const app = createApp({
    edge,
    manifest: () => ({ ...EMPTY, preloads: [] }),
    serveStatic: () => Promise.resolve(null),
    sweep: () => Promise.resolve({}),
  });
  const server = listen(app, { port: 0, hostname: "127.0.0.1" });
  config.publicUrl = `http://127.0.0.1:${server.addr.port}`;
  scope.onmessage = async () => {
    await server[Symbol.asyncDispose]();
    await edge[Symbol.asyncDispose]();
    scope.postMessage("ended");
  };
  scope.postMessage(config.publicUrl);
};
