/**
 * The environment of child processes: an allow-list, never what the agent itself was started with. So no token of
 * ours reaches a coding agent, and nothing that makes one refuse to start (CLAUDECODE) is passed on by accident.
 */
import type { Environment } from "../../lib/env.ts";

const ALLOWED = new Set([
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LANGUAGE",
  "TZ",
  "TMPDIR",
  "TERM",
  "XDG_CONFIG_HOME",
  "XDG_CACHE_HOME",
  "XDG_DATA_HOME",
  "XDG_STATE_HOME",
  "DENO_DIR",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "GIT_SSL_CAINFO",
  "GIT_SSL_CAPATH",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  // Where a coding agent's model, settings and login are; its key comes with the run.
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_MODEL",
  "CLAUDE_CONFIG_DIR",
  "CODEX_HOME",
  "GOOGLE_GEMINI_BASE_URL",
  "OPENAI_BASE_URL",
  "OPENCODE_CONFIG",
]);

const FALLBACK_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What children may have of `environment`: where programs, the home and certificates are, and the language. */
export function allowedEnvironment(environment: Environment): Record<string, string> {
  const allowed: Record<string, string> = { PATH: FALLBACK_PATH };
  for (const [name, value] of Object.entries(environment)) {
    if (value && (ALLOWED.has(name) || name.startsWith("LC_"))) allowed[name] = value;
  }
  return allowed;
}
