/**
 * Secrets that a person gives us for a provider. Nothing that is answered ever holds one. The one for `git` names the
 * host that it is for, and nothing else is ever shown it.
 */
import { z } from "zod";
import { timestamp } from "./common.ts";

export const credentialProvider = z.enum(["hetzner", "anthropic", "openai", "google", "git"]);
export type CredentialProvider = z.infer<typeof credentialProvider>;
/** Those that sell models; their keys reach the coding agent of a run. */
export type ModelProvider = Exclude<CredentialProvider, "hetzner" | "git">;

/** As in the addresses of its repositories: a name, with a port where it is not 443. */
export const gitHost = z.string().trim().toLowerCase().max(260)
  .regex(
    /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?$/,
    "must be a host alone, for example github.com or git.example.org:8443",
  )
  .overwrite((host) => host.replace(/:443$/, ""));

const visible = (max: number) =>
  z.string().trim().max(max).regex(/^[\x21-\x7e]+$/, "must be printable characters without spaces");

export const credential = z.object({
  provider: credentialProvider,
  /** The host that a Git credential is for; null for every other provider. */
  host: z.string().nullable(),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Credential = z.infer<typeof credential>;

export const putCredential = z.strictObject({
  secret: visible(4_000).min(8, "must have at least 8 characters"),
  /** For `git`, and for nothing else. */
  host: gitHost.optional(),
  /** For `git`, where the host wants a certain user name with the token. */
  username: visible(200).optional(),
});
export type PutCredential = z.infer<typeof putCredential>;

/** What Git is given when it asks for exactly this host over https. Held in memory only. */
export const gitCredential = z.object({ host: gitHost, username: z.string(), password: z.string() });
export type GitCredential = z.infer<typeof gitCredential>;

export const credentialCheck = z.object({ ok: z.boolean(), message: z.string() });
export type CredentialCheck = z.infer<typeof credentialCheck>;
