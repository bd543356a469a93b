/** `reseal`: seals every stored secret anew with the first key of `ENCRYPTION_KEY`, so that an old one may be taken out. */
import { openRecord } from "../auth/credentials.ts";
import { resealCheck, seal } from "../auth/seal.ts";
import { change } from "../store/change.ts";
import { type CredentialRecord, listAllCredentials } from "../store/credentials.ts";
import { credentialKey } from "../store/keys.ts";
import type { CommandCall, CommandResult } from "./command.ts";

export async function resealCommand({ edge }: CommandCall): Promise<CommandResult> {
  const first = edge.sealKeys.keys[0]!.kid;
  let moved = 0;
  for await (const { userId, provider, kid } of listAllCredentials(edge.store)) {
    if (kid === first) continue;
    await change(edge.store, async (tx) => {
      const entry = await tx.get<CredentialRecord>(credentialKey(userId, provider));
      if (!entry.value || entry.value.kid === first) return;
      const { secret } = await openRecord(edge, entry.value);
      tx.put(entry, { ...entry.value, ...await seal(edge.sealKeys, secret, { userId, provider }) });
    }, edge.clock);
    moved++;
  }
  await resealCheck(edge.store, edge.sealKeys);
  return { text: `${moved} credential(s) were sealed anew with the key "${first}".` };
}
