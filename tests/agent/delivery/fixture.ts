/** An outbox, a fake edge and a reporter between them, with waits that are short enough for tests. */
import { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import { Reporter, type ReporterConfig } from "../../../agent/delivery/reporter.ts";
import type { Database } from "../../../agent/store/database.ts";
import { writeIdentity } from "../../../agent/store/identity.ts";
import type { Outbox } from "../../../agent/store/outbox.ts";
import type { Logger } from "../../../lib/log.ts";
import { FakeEdge, NODE, NODE_SECRET } from "../../fakes/edge_server.ts";
import { makeOutbox, SESSION, silent, withDatabase, WORKSPACE } from "../store/fixture.ts";

export const QUICK: ReporterConfig & { msgHttpTimeoutMs: number } = {
  msgBatchMaxWaitMs: 40,
  msgBatchMaxSize: 50,
  msgBatchMaxBytes: 65_536,
  msgRetryInitialIntervalMs: 10,
  msgRetryMaxIntervalMs: 40,
  msgRetryMaxElapsedTimeMs: 300_000,
  msgRefusedHoldMs: 0,
  msgHttpTimeoutMs: 5_000,
};

export interface Line {
  db: Database;
  outbox: Outbox;
  edge: FakeEdge;
  client: EdgeClient;
  start(config?: Partial<ReporterConfig>): Reporter;
}

export interface LineOptions {
  config?: Partial<typeof QUICK>;
  log?: Logger;
  maxRows?: number;
}

export async function makeClient(dataDir: string, edge: FakeEdge, msgHttpTimeoutMs = 5_000): Promise<EdgeClient> {
  await writeIdentity(dataDir, {
    nodeId: NODE,
    nonce: "n".repeat(43),
    nodeSecret: NODE_SECRET,
    heartbeatMs: 1,
    limits: null,
  });
  return new EdgeClient({
    config: { controlPlaneUrl: edge.url, nodeId: NODE, dataDir, msgHttpTimeoutMs },
    log: silent,
  });
}

export function withLine(work: (line: Line) => Promise<void>, options: LineOptions = {}): Promise<void> {
  return withDatabase(async (db) => {
    await using edge = new FakeEdge();
    const config = { ...QUICK, ...options.config };
    const client = await makeClient(db.dataDir, edge, config.msgHttpTimeoutMs);
    const log = options.log ?? silent;
    const outbox = makeOutbox(db, { log, ...(options.maxRows && { maxRows: options.maxRows }) });
    await using reporters = new AsyncDisposableStack();
    const start = (change: Partial<ReporterConfig> = {}) =>
      reporters.use(
        new Reporter({
          workspaceId: WORKSPACE,
          sessionId: SESSION,
          outbox,
          edge: client,
          config: { ...config, ...change },
          log,
        }),
      );
    await work({ db, outbox, edge, client, start });
  });
}

/** The contents of each batch that was posted. */
export function batches(edge: FakeEdge): string[][] {
  return edge.seen("/messages").map((request) =>
    (request.body as { messages: { content: string }[] }).messages.map((message) => message.content)
  );
}
