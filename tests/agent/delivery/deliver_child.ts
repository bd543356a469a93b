/**
 * A process that makes messages 0, 1, 2 … and delivers them, until it is killed. Arguments: data directory, address of
 * the edge, first number. It prints each number once the message is durable.
 */
import { EdgeClient } from "../../../agent/delivery/edge_client.ts";
import { Reporters } from "../../../agent/delivery/reporters.ts";
import { openDatabase } from "../../../agent/store/database.ts";
import { NODE } from "../../fakes/edge_server.ts";
import { makeOutbox, makeRow, silent } from "../store/fixture.ts";
import { QUICK } from "./fixture.ts";

const [dataDir, controlPlaneUrl, first] = Deno.args;
const db = await openDatabase(dataDir!, { ballastBytes: 0 });
const outbox = makeOutbox(db);
const config = { controlPlaneUrl: controlPlaneUrl!, nodeId: NODE, dataDir: dataDir!, msgHttpTimeoutMs: 5_000 };
const reporters = new Reporters({
  outbox,
  edge: new EdgeClient({ config, log: silent }),
  config: { ...QUICK, msgBatchMaxSize: 5, msgBatchMaxWaitMs: 5, msgRefusedHoldMs: 600_000 },
  log: silent,
});
await reporters.look();
for (let n = Number(first);; n++) {
  // The id follows from the number: a message whose acknowledgement was lost with the process is made again.
  const messageId = `00000000-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
  await outbox.enqueue([makeRow(String(n), { messageId })]);
  Deno.stdout.writeSync(new TextEncoder().encode(`${n}\n`));
  await new Promise((resolve) => setTimeout(resolve, 1));
}
