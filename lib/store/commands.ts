/**
 * Commands to a node: stored rows with a rising number, written in the commit that decides them. A row holds pointers
 * only; text and tokens are filled in when a frame is sent.
 */
import { newId } from "../ids.ts";
import type { Change, Versioned } from "./change.ts";
import { commandAckKey, commandHeadKey, commandKey } from "./keys.ts";
import { pokeNode } from "./nodes.ts";
import type { Store } from "./store.ts";

export type CommandInput =
  | { kind: "workspace.start"; workspaceId: string; run: number | null; again?: true }
  | { kind: "workspace.stop"; workspaceId: string; run: number | null; keep: boolean }
  | { kind: "prompt.send"; workspaceId: string; sessionId: string; messageId: string }
  | { kind: "prompt.steer"; workspaceId: string; sessionId: string; messageId: string; into: string }
  | { kind: "prompt.cancel"; workspaceId: string; messageId: string }
  | { kind: "relay.open"; workspaceId: string; relayId: string }
  | { kind: "permission.respond"; workspaceId: string; sessionId: string; requestId: string }
  | { kind: "node.drain" };

export type CommandRecord = CommandInput & { v: 1; commandId: string; seq: number; at: number };

interface CommandHead extends Versioned {
  lastSeq: number;
}

/** How many rows one read brings. */
const READ_MAX = 100;

/** Appends commands to a node's line, in order, under a check on its head. */
export async function addCommands(tx: Change, nodeId: string, commands: CommandInput[]): Promise<void> {
  if (commands.length === 0) return;
  const head = await tx.get<CommandHead>(commandHeadKey(nodeId));
  const first = (head.value?.lastSeq ?? 0) + 1;
  commands.forEach((command, i) => {
    const record: CommandRecord = { ...command, v: 1, commandId: newId(), seq: first + i, at: tx.now };
    tx.set(commandKey(nodeId, record.seq), record);
  });
  const lastSeq = first + commands.length - 1;
  tx.put(head, { v: 1, lastSeq });
  pokeNode(tx, nodeId, lastSeq);
}

/** The commands after `seq`, in order, at most a hundred. */
export async function listCommands(store: Store, nodeId: string, seq: number): Promise<CommandRecord[]> {
  const range = { start: commandKey(nodeId, seq + 1), end: commandKey(nodeId, Number.MAX_SAFE_INTEGER) };
  return (await Array.fromAsync(store.kv.list<CommandRecord>(range, { limit: READ_MAX }))).map((entry) => entry.value);
}

export async function lastCommandSeq(store: Store, nodeId: string): Promise<number> {
  return (await store.kv.get<CommandHead>(commandHeadKey(nodeId))).value?.lastSeq ?? 0;
}

/** Notes what the agent has stored, and removes the rows up to there. Blind: an old acknowledgement does no harm. */
export async function acknowledge(store: Store, nodeId: string, seq: number): Promise<void> {
  const done = { start: commandKey(nodeId, 0), end: commandKey(nodeId, seq + 1) };
  const op = store.kv.atomic().set(commandAckKey(nodeId), { seq });
  for await (const entry of store.kv.list(done, { limit: 500 })) op.delete(entry.key);
  await op.commit();
}
