/** Whether the process lives and can work, which version it is, and the API's own description. */
import type { Context } from "hono";
import { readMetrics } from "../../lib/admin/metrics_text.ts";
import { isSameHash, sha256 } from "../../lib/auth/hash.ts";
import { AppError } from "../../lib/errors.ts";
import { isStoreReady } from "../../lib/store/store.ts";
import { VERSION } from "../../lib/version.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { openApi } from "../../lib/wire/openapi.ts";
import { requireUserWithinLimits } from "../_caller.ts";
import type { App, AppEnv } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountOperations(app: App, sweep: () => Promise<Record<string, number | null>>): void {
  serve(app, endpoints.live, () => Promise.resolve({ status: "ok" as const }));
  serve(app, endpoints.ready, async ({ edge, c }) => {
    const ready = await isStoreReady(edge.store);
    return c.json({ status: ready ? "ready" : "not_ready" }, ready ? 200 : 503);
  });
  serve(app, endpoints.version, ({ edge }) => {
    return Promise.resolve({ version: VERSION, protocol: edge.protocol.max, protocolMin: edge.protocol.min });
  });
  serve(app, endpoints.runSweep, async ({ user }) => {
    if (user.role !== "admin") throw new AppError("forbidden", "Only an admin runs the sweeps.");
    return { steps: await sweep() };
  });
  app.get("/metrics", async (c) => {
    await requireMetricsReader(c);
    return c.body(await readMetrics(c.get("edge")), 200, { "content-type": "text/plain; version=0.0.4" });
  });
  app.get("/openapi.json", (c) => c.json(openApi()));
}

/** A program with `METRICS_TOKEN`, or an admin. Throws `unauthorized`, `forbidden`, `rate_limited`. */
async function requireMetricsReader(c: Context<AppEnv>): Promise<void> {
  const { METRICS_TOKEN } = c.get("edge").config;
  const shown = /^Bearer (\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  // Of equal length whatever was shown, so that the comparison tells nothing.
  if (METRICS_TOKEN && shown && isSameHash(await sha256(METRICS_TOKEN), await sha256(shown))) return;
  const { user } = await requireUserWithinLimits(c);
  if (user.role !== "admin") throw new AppError("forbidden", "Only an admin sees the metrics.");
}
