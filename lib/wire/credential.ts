/** Secrets that a person gives us for a provider. Nothing that is answered ever holds one. */
import { z } from "zod";
import { timestamp } from "./common.ts";

export const credentialProvider = z.enum(["hetzner", "anthropic", "openai", "google"]);
export type CredentialProvider = z.infer<typeof credentialProvider>;

export const credential = z.object({
  provider: credentialProvider,
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Credential = z.infer<typeof credential>;

export const putCredential = z.strictObject({
  secret: z.string().trim().min(8, "must have at least 8 characters").max(4_000).regex(
    /^[\x21-\x7e]+$/,
    "must be printable characters without spaces",
  ),
});

export const credentialCheck = z.object({ ok: z.boolean(), message: z.string() });
export type CredentialCheck = z.infer<typeof credentialCheck>;
