/** Whether the process lives and can work, which version it is, and the API's own description. */
import { isStoreReady } from "../../lib/store/store.ts";
import { VERSION } from "../../lib/version.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { PROTOCOL, PROTOCOL_MIN } from "../../lib/wire/limits.ts";
import { openApi } from "../../lib/wire/openapi.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountOperations(app: App): void {
  serve(app, endpoints.live, () => Promise.resolve({ status: "ok" as const }));
  serve(app, endpoints.ready, async ({ edge, c }) => {
    const ready = await isStoreReady(edge.store);
    return c.json({ status: ready ? "ready" : "not_ready" }, ready ? 200 : 503);
  });
  serve(app, endpoints.version, () => {
    return Promise.resolve({ version: VERSION, protocol: PROTOCOL, protocolMin: PROTOCOL_MIN });
  });
  app.get("/openapi.json", (c) => c.json(openApi()));
}
