/**
 * Whether a person is signed in to a coding agent on this machine: by the files in which each keeps its login. They are
 * looked for and never read into anything; that a login still works shows only when the coding agent uses it.
 */
import { join } from "node:path";

type Environment = Record<string, string | undefined>;

/** Of each coding agent: the folder of its files, and which of them is its login. */
const LOGINS: Record<string, { folder: (env: Environment, home: string) => string; file: string; command: string }> = {
  claude: {
    folder: (env, home) => env.CLAUDE_CONFIG_DIR || join(home, ".claude"),
    file: ".credentials.json",
    command: "claude-agent-acp --cli auth login",
  },
  codex: {
    folder: (env, home) => env.CODEX_HOME || join(home, ".codex"),
    file: "auth.json",
    command: "npx @openai/codex login",
  },
  gemini: { folder: (_, home) => join(home, ".gemini"), file: "oauth_creds.json", command: "gemini" },
  opencode: {
    folder: (env, home) => join(env.XDG_DATA_HOME || join(home, ".local", "share"), "opencode"),
    file: "auth.json",
    command: "opencode auth login",
  },
};

/** What a person types to sign in; null for a coding agent without a login. */
export function loginCommand(codingAgent: string): string | null {
  return LOGINS[codingAgent]?.command ?? null;
}

/** Whether a login of this coding agent lies where `environment`, that of its process, says. */
export async function hasLogin(codingAgent: string, environment: Environment): Promise<boolean> {
  const login = LOGINS[codingAgent];
  if (!login || !environment.HOME) return false;
  const path = join(login.folder(environment, environment.HOME), login.file);
  return (await Deno.stat(path).catch(() => null))?.isFile === true;
}
