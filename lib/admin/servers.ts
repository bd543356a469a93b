/**
 * `reconcile` and `reap`: servers at providers, also when no Hearth runs. `reconcile` does what the sweep does; `reap`
 * deletes every server with this installation's label that no record knows, at once and without a second look, and those
 * of nodes that are to be destroyed.
 */
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { accessOf, providerOf } from "../nodes/accounts.ts";
import { readUser } from "../store/accounts.ts";
import { listAllCredentials } from "../store/credentials.ts";
import { type NodeRecord, readNode } from "../store/nodes.ts";
import { deleteNode } from "../tasks/delete_node.ts";
import { type Finding, reconcile } from "../tasks/reconcile.ts";
import { type CommandCall, type CommandResult, formatList, printable } from "./command.ts";

const WORDS: Record<Finding["kind"], string> = {
  stray_seen: "no record knows it: noted, destroyed after the grace",
  stray_destroyed: "no record knew it: destroyed",
  server_gone: "the server is gone: the record is closed",
};

/** Throws when an inventory could not be had: then nothing was done with it. */
export async function reconcileCommand(call: CommandCall): Promise<CommandResult> {
  const findings: Finding[] = [];
  const dryRun = call.options.has("dry-run");
  await reconcile(call.edge, { dryRun, onFinding: (finding) => findings.push(finding) });
  const rows = findings.map(({ kind, provider, ref, nodeId }) => ({
    provider,
    server: ref,
    node: nodeId,
    finding: WORDS[kind],
  }));
  const { text } = formatList(call, rows);
  return { text, note: rows.length === 0 ? "Servers and records agree." : dryRun ? "Nothing was done." : undefined };
}

export async function reapCommand(call: CommandCall): Promise<CommandResult> {
  const { edge } = call;
  const isMeant = call.options.has("yes");
  const [found, failures]: [Reaped[], string[]] = [[], []];
  for await (const { provider, userId } of listAllCredentials(edge.store)) {
    if (provider !== "hetzner") continue;
    try {
      for await (const each of reapAccount(edge, { provider, ownerId: userId }, isMeant)) found.push(each);
    } catch (error) {
      const owner = (await readUser(edge.store, userId))?.login ?? userId;
      failures.push(`The servers of ${printable(owner)} at ${provider} could not be listed: ${messageOf(error)}.`);
    }
  }
  const { text } = formatList(call, found.map(({ failed: _, ...row }) => row));
  const none = "No server that is to go, or that no record knows, carries this installation's label.";
  const rest = found.length === 0 ? none : isMeant ? null : "Nothing was deleted. Add --yes to delete them.";
  const failed = failures.length > 0 || found.some((each) => each.failed);
  return { text, note: [...failures, failures.length > 0 ? null : rest].filter(Boolean).join("\n"), failed };
}

interface Reaped {
  provider: string;
  server: string;
  node: string | null;
  outcome: string;
  failed: boolean;
}

/** One server that cannot be deleted stops no other. */
async function* reapAccount(
  edge: Edge,
  account: Pick<NodeRecord, "ownerId" | "provider">,
  isMeant: boolean,
): AsyncGenerator<Reaped> {
  const [provider, access] = [providerOf(edge, account.provider), await accessOf(edge, account)];
  for (const { ref, nodeId } of await provider.list(edge.store.installationId, access)) {
    const node = nodeId ? await readNode(edge.store, nodeId) : null;
    if (node && !["destroying", "destroyed"].includes(node.status)) continue;
    const end = node?.status === "destroying" ? () => endNode(edge, node) : async () => {
      await provider.destroy(ref, access);
      return "deleted";
    };
    const row = { provider: provider.id, server: printable(ref), node: nodeId };
    try {
      yield { ...row, outcome: isMeant ? await end() : "would be deleted", failed: false };
    } catch (error) {
      yield { ...row, outcome: `not deleted: ${printable(messageOf(error))}`, failed: true };
    }
  }
}

/** As the Hearth that runs does it: a machine that holds undelivered messages is spared for its time. */
async function endNode(edge: Edge, { id, destroyTries }: NodeRecord): Promise<string> {
  await deleteNode(edge, id);
  const now = await readNode(edge.store, id);
  if (now?.status === "destroyed") return "deleted";
  if ((now?.destroyTries ?? 0) > destroyTries) throw new Error("the provider refused, as the log says");
  return "spared: it holds messages that are not delivered yet";
}
