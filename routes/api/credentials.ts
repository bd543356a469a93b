/** A person's stored secrets for providers: which there are, storing, removing, checking. */
import { checkCredential, removeCredential, storeCredential } from "../../lib/nodes/credentials.ts";
import { listCredentials, toCredential } from "../../lib/store/credentials.ts";
import { credentialProvider } from "../../lib/wire/credential.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import type { App } from "../_context.ts";
import { serve } from "../_endpoint.ts";

export function mountCredentials(app: App): void {
  serve(app, endpoints.listCredentials, async ({ edge, user }) => {
    return { items: (await listCredentials(edge.store, user.id)).map(toCredential), nextCursor: null };
  });
  serve(app, endpoints.putCredential, async ({ edge, user, params, body }) => {
    const provider = credentialProvider.parse(params.provider);
    return toCredential(await storeCredential(edge, user.id, { provider, ...body }));
  });
  serve(app, endpoints.deleteCredential, async ({ edge, user, params }) => {
    await removeCredential(edge, user.id, credentialProvider.parse(params.provider));
  });
  serve(app, endpoints.checkCredential, async ({ edge, user, params }) => {
    return await checkCredential(edge, user.id, credentialProvider.parse(params.provider));
  });
}
