/**
 * Whose machines at which provider: the provider that made a node, and the secret of its owner under which calls about
 * it are made.
 */
import { openCredential } from "../auth/credentials.ts";
import type { Edge } from "../edge.ts";
import { messageOf } from "../errors.ts";
import { type NodeProvider, type ProviderAccess, ProviderError } from "../providers/provider.ts";
import type { Change } from "../store/change.ts";
import type { CredentialRecord } from "../store/credentials.ts";
import { credentialKey } from "../store/keys.ts";
import type { NodeRecord } from "../store/nodes.ts";

/** Providers whose machines are made under a stored secret of the owner. */
export const RENTED: ReadonlySet<NodeProvider["id"]> = new Set(["hetzner"]);

/** The provider that knows a node's machine. Throws ProviderError when this edge does not know that provider. */
export function providerOf(edge: Edge, id: NodeProvider["id"]): NodeProvider {
  const found = [edge.provider, ...edge.otherProviders].find((each) => each.id === id);
  if (found) return found;
  throw new ProviderError(`this Hearth knows no machines of the provider "${id}"`);
}

/** What calls about a node's machine are made with. Throws ProviderError where its owner's secret is gone or sealed off. */
export async function accessOf(edge: Edge, node: Pick<NodeRecord, "ownerId" | "provider">): Promise<ProviderAccess> {
  if (node.provider !== "hetzner") return { secret: null };
  try {
    const credential = await openCredential(edge, node.ownerId, node.provider);
    return { secret: credential?.secret ?? null };
  } catch (error) {
    throw new ProviderError(messageOf(error), { cause: error });
  }
}

/** The account under which a machine is made within this change. */
export async function readAccount(tx: Change, ownerId: string, provider: NodeProvider["id"]): Promise<string | null> {
  if (!RENTED.has(provider)) return null;
  return (await tx.get<CredentialRecord>(credentialKey(ownerId, provider))).value?.account ?? null;
}
