/**
 * The agent's outbox: messages made durable per second, against bare libSQL inserts of the same columns with the same
 * pragmas, in short turns, and the memory of the process over a million messages. There are two bare tables: one with
 * no index at all, and one with the outbox's own indexes, where only the work around the insert is left to compare. A
 * transaction of one statement can be had with and without BEGIN and COMMIT around it; the outbox does without, so both
 * are measured. What a machine's other work cannot change is counted: the pages that a message writes.
 */
import type { Client, InStatement } from "@libsql/client";
import { Outbox, type OutboxRow } from "../../agent/store/outbox.ts";
import { type Database, openDatabase } from "../../agent/store/database.ts";
import { makeRow, silent, withDataDir, WORKSPACE } from "../agent/store/fixture.ts";
import { type Bench, type Figure, timed } from "./figure.ts";
import { inTurns } from "./in_turns.ts";

const ROUNDS = 21;
const PER_TURN = 300;
const CALLERS = 16;
const PER_COUNT = 200;
/** A page with its header. */
const WAL_FRAME_BYTES = 4_096 + 24;
const MILLION = 1_000_000;
const PER_BATCH = 500;
/** After so many messages everything is loaded and warm. */
const WARM = 100_000;
const LIMITS = { maxRows: 100_000, maxBytes: 1 << 30, maxContentBytes: 204_800, log: silent };
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const figures: Figure[] = [];
  await withDataDir(async (dataDir) => {
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = new Outbox(db, LIMITS);
    await makeBareTables(db.client);
    figures.push(...await compare(outbox, db.client), ...await countPages(outbox, db));
    figures.push(await growth(outbox));
  });
  return figures;
}

async function makeBareTables(client: Client): Promise<void> {
  const made = await client.execute(
    "SELECT sql FROM sqlite_master WHERE tbl_name = 'message_outbox' AND sql IS NOT NULL ORDER BY type = 'index'",
  );
  const own = made.rows.map((row) => String(row.sql));
  await client.batch(own.map((sql) => sql.replaceAll(/(message_)?outbox/g, "bare_indexed")), "write");
  await client.execute(own[0]!.replaceAll("message_outbox", "bare").replace(" UNIQUE", ""));
}

async function compare(outbox: Outbox, client: Client): Promise<Figure[]> {
  const rate = async (insert: (row: OutboxRow) => Promise<unknown>, callers = 1) => {
    const rows = Array.from({ length: PER_TURN }, () => makeRow(TEXT)).values();
    const call = async () => {
      for (const row of rows) await insert(row);
    };
    const ms = await timed(() => Promise.all(Array.from({ length: callers }, call)));
    await empty(outbox);
    await client.batch(["DELETE FROM bare", "DELETE FROM bare_indexed"], "write");
    return PER_TURN * 1_000 / ms;
  };
  const rates = await inTurns(ROUNDS, {
    bare: () => rate((row) => client.batch([insertBare("bare", row)], "write")),
    alone: () => rate((row) => client.execute(insertBare("bare", row))),
    own: () => rate((row) => outbox.enqueue([row])),
    indexed: () => rate((row) => client.execute(insertBare("bare_indexed", row))),
    together: () => rate((row) => outbox.enqueue([row]), CALLERS),
  });
  const goal = { atLeast: 0.8 };
  return [
    { name: "bare libSQL inserts, one a transaction", value: rates.of("bare"), unit: "per s" },
    { name: "the same without BEGIN and COMMIT", value: rates.of("alone"), unit: "per s" },
    { name: "the same with the outbox's indexes", value: rates.of("indexed"), unit: "per s" },
    { name: "enqueue, one message a call", value: rates.of("own"), unit: "per s" },
    { name: "enqueue against bare inserts", value: rates.ratio("own", "bare"), unit: "ratio", goal },
    { name: "enqueue against those without BEGIN and COMMIT", value: rates.ratio("own", "alone"), unit: "ratio", goal },
    { name: "enqueue against those with indexes", value: rates.ratio("own", "indexed"), unit: "ratio", goal },
    { name: `enqueue by ${CALLERS} callers at once`, value: rates.of("together"), unit: "per s" },
    { name: "the same against bare inserts", value: rates.ratio("together", "bare"), unit: "ratio" },
  ];
}

/** Pages that go into the write-ahead log for one message; few enough of them that it is not emptied in between. */
async function countPages(outbox: Outbox, db: Database): Promise<Figure[]> {
  const pages = async (insert: (row: OutboxRow) => Promise<unknown>) => {
    for (let n = 0; n < PER_TURN; n++) await insert(makeRow(TEXT));
    await db.client.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    for (let n = 0; n < PER_COUNT; n++) await insert(makeRow(TEXT));
    return (await Deno.stat(`${db.dataDir}/agent.db-wal`)).size / WAL_FRAME_BYTES / PER_COUNT;
  };
  const bare = await pages((row) => db.client.execute(insertBare("bare", row)));
  const own = await pages((row) => outbox.enqueue([row]));
  await empty(outbox);
  return [
    { name: "pages written for a bare insert", value: bare, unit: "count" },
    { name: "pages written for a message", value: own, unit: "count" },
  ];
}

function insertBare(table: string, row: OutboxRow): InStatement {
  return {
    sql: `INSERT INTO ${table} (message_id, workspace_id, project_id, session_id, role, content, created_at, bytes)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    args: [
      row.messageId,
      row.workspaceId,
      row.projectId,
      row.sessionId,
      row.role,
      new TextEncoder().encode(row.content),
      row.createdAt,
      row.content.length,
    ],
  };
}

/** A million messages in and out again; what is compared is the process before and after. */
async function growth(outbox: Outbox): Promise<Figure> {
  let warm = 0;
  for (let count = 0; count < MILLION; count += PER_BATCH) {
    await outbox.enqueue(Array.from({ length: PER_BATCH }, () => makeRow(TEXT)));
    await empty(outbox);
    if (count === WARM) warm = Deno.memoryUsage().rss;
    // The driver blocks: without a pause nothing of it is ever collected. An agent waits for its network in between.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  const value = Deno.memoryUsage().rss / warm;
  const note = `${Math.round(warm / 1e6)} MB after ${WARM.toLocaleString("en")}`;
  return {
    name: "memory after a million messages against after 100,000",
    value,
    unit: "ratio",
    goal: { atMost: 1.2 },
    note,
  };
}

async function empty(outbox: Outbox): Promise<void> {
  while (true) {
    const rows = await outbox.oldest(WORKSPACE, { maxRows: 1_000, maxBytes: Number.MAX_SAFE_INTEGER });
    if (rows.length === 0) return;
    await outbox.deleteSent(rows.map((row) => row.id));
  }
}

export const bench: Bench = { title: "Outbox: messages onto the node's disk", measure };
