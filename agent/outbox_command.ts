/**
 * `hearth-agent outbox`: what waits on this node and what the edge refused, readable while the agent runs. `retry` asks
 * the agent to take dead letters back into its queue, which it does within half a minute or when it is started.
 */
import type { Client, Row } from "@libsql/client";
import { toText } from "../lib/bytes.ts";
import { openBeside } from "./store/database.ts";
import { toWire } from "./store/fit.ts";
import { fromColumns, MESSAGE_NAMES } from "./store/message_columns.ts";

const LIST_MAX = 100;
const PREVIEW_CHARACTERS = 60;

const USAGE = `Usage:
  hearth-agent outbox list              what waits, and the dead letters
  hearth-agent outbox show MESSAGE_ID   one message, whole
  hearth-agent outbox retry MESSAGE_ID  send a dead letter again
  hearth-agent outbox retry all         send all dead letters again
`;

export interface CommandResult {
  exitCode: number;
  output: string;
}

/** Runs `list`, `show ID` or `retry ID|all` on the database of `dataDir`. */
export async function runOutboxCommand(dataDir: string, args: string[]): Promise<CommandResult> {
  const [verb, id] = args;
  const isKnown = verb === "list" || ((verb === "show" || verb === "retry") && id !== undefined);
  if (!isKnown) return { exitCode: 2, output: USAGE };
  const client = await openBeside(dataDir);
  try {
    if (verb === "list") return { exitCode: 0, output: await list(client) };
    return verb === "show" ? await show(client, id!) : await retry(client, id!);
  } finally {
    client.close();
  }
}

async function list(client: Client): Promise<string> {
  const waiting = await client.execute({
    sql: `SELECT message_id, workspace_id, role, content, created_at, attempts FROM message_outbox ORDER BY id LIMIT ?`,
    args: [LIST_MAX],
  });
  const dead = await client.execute({
    sql: `SELECT message_id, workspace_id, role, content, created_at, status, reason, handed_at, again_at
      FROM dead_letters
      ORDER BY id LIMIT ?`,
    args: [LIST_MAX],
  });
  const total = await client.execute(
    "SELECT (SELECT count(*) FROM message_outbox) AS waiting, (SELECT count(*) FROM dead_letters) AS dead",
  );
  return [
    `${total.rows[0]?.waiting} waiting`,
    ...waiting.rows.map((row) => `  ${describe(row)}  ${row.attempts} failed tries`),
    `${total.rows[0]?.dead} dead letters`,
    ...dead.rows.map((row) => `  ${describe(row)}  ${whyDead(row)}`),
    "",
  ].join("\n");
}

async function show(client: Client, messageId: string): Promise<CommandResult> {
  const found = await client.execute({
    sql: `SELECT ${MESSAGE_NAMES} FROM message_outbox WHERE message_id = ?1
      UNION ALL SELECT ${MESSAGE_NAMES} FROM dead_letters WHERE message_id = ?1`,
    args: [messageId.toLowerCase()],
  });
  if (!found.rows[0]) return missing(messageId);
  const message = fromColumns(found.rows[0]);
  const shown = { workspaceId: message.workspaceId, projectId: message.projectId, ...toWire(message) };
  return { exitCode: 0, output: `${JSON.stringify(shown, null, 2)}\n` };
}

/** Says that the agent should take them back: it alone writes its queue. */
async function retry(client: Client, which: string): Promise<CommandResult> {
  const { rowsAffected } = await client.execute({
    sql: "UPDATE dead_letters SET again_at = ?2 WHERE ?1 = 'all' OR message_id = ?1",
    args: [which.toLowerCase(), new Date().toISOString()],
  });
  if (rowsAffected === 0 && which !== "all") return missing(which);
  return { exitCode: 0, output: `${rowsAffected} dead letter(s) will be sent again.\n` };
}

function missing(messageId: string): CommandResult {
  return { exitCode: 1, output: `There is no message ${messageId} in the outbox or among the dead letters.\n` };
}

function whyDead({ reason, status, handed_at, again_at }: Row): string {
  const handed = handed_at === null ? "" : ", the edge has it too";
  const again = again_at === null ? "" : ", will be sent again";
  return `${reason}${status === null ? "" : ` (${status})`}${handed}${again}`;
}

function describe(row: Row): string {
  const content = row.content instanceof ArrayBuffer ? toText(new Uint8Array(row.content)) : "";
  // Control characters of a coding agent's text must not reach the terminal.
  const preview = JSON.stringify(content.slice(0, PREVIEW_CHARACTERS));
  return `${row.message_id}  ${row.created_at}  workspace ${row.workspace_id}  ${row.role}  ${preview}`;
}
