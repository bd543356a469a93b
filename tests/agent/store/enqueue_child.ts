/** A process that enqueues without end and prints the number of each message once it was acknowledged. */
import { openDatabase } from "../../../agent/store/database.ts";
import { makeOutbox, makeRow } from "./fixture.ts";

const db = await openDatabase(Deno.args[0]!, { ballastBytes: 0 });
const outbox = makeOutbox(db, { maxRows: 1_000_000 });
const encoder = new TextEncoder();
for (let n = 0;; n++) {
  await outbox.enqueue([makeRow(String(n))]);
  Deno.stdout.writeSync(encoder.encode(`${n}\n`));
}
