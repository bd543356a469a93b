/**
 * Which addresses a repository may have. Checked when a project is written, and again by the agent before Git sees it:
 * no password, nothing that a command line could take for an option, no transport that runs a program.
 */
const HOST = "[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?";
const USER = "[A-Za-z0-9_][A-Za-z0-9_.-]*";
/** No query and no fragment: a token there would end in arguments and logs. */
const PATH = "(?!-)[^\\s\\x00-\\x1f\\x7f?#]+";
const HTTPS = new RegExp(`^https://${HOST}(?::\\d{1,5})?/${PATH}$`);
const SSH = new RegExp(`^ssh://(?:${USER}@)?${HOST}(?::\\d{1,5})?/${PATH}$`);
const SCP = new RegExp(`^${USER}@${HOST}:(?!/?-)(?!:)${PATH}$`);
// deno-lint-ignore no-control-regex
const FILE = /^(?:file:\/\/)?\/(?!-)[^\s\x00-\x1f\x7f]+$/;

/** What is wrong with the address, in words for a person, or null when nothing is. */
export function checkRepositoryUrl(url: string, options: { allowLocal: boolean }): string | null {
  if (HTTPS.test(url) || SSH.test(url) || SCP.test(url)) return null;
  if (FILE.test(url)) {
    return options.allowLocal
      ? null
      : "A path on this machine works only with the local provider. Use https:// or ssh://.";
  }
  if (/^[a-z]+:\/\/[^/@\s]*@/i.test(url)) {
    return "Leave user and password out of the address; a credential is stored apart from it.";
  }
  const forms = "https://host/path, ssh://host/path or user@host:path";
  return `Give the repository as ${forms}${options.allowLocal ? ", or as a path on this machine" : ""}.`;
}
