/**
 * `reconcile` and `reap`: servers at providers, also when no Hearth runs. `reconcile` does what the sweep does; `reap`
 * deletes every server that carries this installation's label and no live record, at once and without a second look.
 */
import { accessOf, providerOf } from "../nodes/accounts.ts";
import { listAllCredentials } from "../store/credentials.ts";
import { readNode } from "../store/nodes.ts";
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
  const dryRun = !call.options.has("yes");
  const rows: { provider: string; server: string; node: string | null; outcome: string }[] = [];
  for await (const { provider: id, userId: ownerId } of listAllCredentials(edge.store)) {
    if (id !== "hetzner") continue;
    const provider = providerOf(edge, id);
    const access = await accessOf(edge, { ownerId, provider: id });
    for (const { ref, nodeId } of await provider.list(edge.store.installationId, access)) {
      const node = nodeId ? await readNode(edge.store, nodeId) : null;
      if (node && node.status !== "destroyed") continue;
      if (!dryRun) await provider.destroy(ref, access);
      rows.push({
        provider: id,
        server: printable(ref),
        node: nodeId,
        outcome: dryRun ? "would be deleted" : "deleted",
      });
    }
  }
  const { text } = formatList(call, rows);
  if (rows.length === 0) return { text, note: "No server without a record carries this installation's label." };
  return { text, note: dryRun ? "Nothing was deleted. Add --yes to delete them." : undefined };
}
