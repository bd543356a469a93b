/** Says in words for a person why a host would not let git in, and where that is put right. Pure. */
import type { GitCredential } from "../../lib/wire/credential.ts";

export interface GitAccess {
  repositoryUrl: string;
  credential?: GitCredential | null;
  /** The page on which credentials are stored. */
  settingsUrl: string;
}

const ASKED = /could not read (?:Username|Password) for '?https:\/\/(?:[^@/']*@)?([^/']+)/;
const REFUSED = /Authentication failed|HTTP Basic: Access denied|returned error: 401/;
const FORBIDDEN = /returned error: 403/;
const NOT_FOUND = /repository '[^']*' not found|returned error: 404/i;

/** Null where git's message does not speak of access, or the address is not https. */
export function adviseOnAccess(message: string, access: GitAccess): string | null {
  const { repositoryUrl, credential, settingsUrl } = access;
  if (!repositoryUrl.startsWith("https://")) return null;
  const { host } = new URL(repositoryUrl);
  const asked = ASKED.exec(message)?.[1];
  if (asked !== undefined && asked !== host) {
    return `The address leads on to ${asked}, which is not shown what is stored for ${host}. Use the address there.`;
  }
  if (asked === undefined && ![REFUSED, FORBIDDEN, NOT_FOUND].some((pattern) => pattern.test(message))) return null;
  const store = `Store a Git credential for ${host} at ${settingsUrl}, and run it again.`;
  if (!credential) return `${host} opens it only to those it knows, if it is there. ${store}`;
  if (NOT_FOUND.test(message) || FORBIDDEN.test(message)) {
    return `The Git credential that you stored for ${host} does not open it, if it is there: see ${settingsUrl}.`;
  }
  return `${host} does not accept the Git credential that you stored. Replace it at ${settingsUrl}, and run it again.`;
}
