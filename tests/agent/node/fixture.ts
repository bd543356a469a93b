/** A registered node with its database and a fake edge. */
import type { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import type { Database } from "../../../agent/store/database.ts";
import { Inbox } from "../../../agent/store/inbox.ts";
import { FakeEdge, NODE } from "../../fakes/edge_server.ts";
import { makeClient } from "../delivery/fixture.ts";
import { withDatabase } from "../store/fixture.ts";

export interface NodeBench {
  db: Database;
  edge: FakeEdge;
  client: EdgeClient;
  inbox: Inbox;
  config: { controlPlaneUrl: string; nodeId: string };
}

export function withNode(work: (bench: NodeBench) => Promise<void>): Promise<void> {
  return withDatabase(async (db) => {
    await using edge = new FakeEdge();
    const client = await makeClient(db.dataDir, edge);
    await work({ db, edge, client, inbox: new Inbox(db), config: { controlPlaneUrl: edge.url, nodeId: NODE } });
  });
}
