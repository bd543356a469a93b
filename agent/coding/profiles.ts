/**
 * The coding agents that can be driven, and how each is started. They are installed on the machine, never bundled;
 * only `demo` is part of this program.
 */
import type { AgentConfig } from "../config.ts";
import { FAILURES_TOLD } from "./turn_answer.ts";

export interface Profile {
  id: string;
  label: string;
  command: string;
  args: string[];
  env: Record<string, string>;
  /** What else it gets where this variable holds a key, made from the environment that it is to have. */
  withKey?: { variable: string; env: (env: Record<string, string>) => Record<string, string> };
  /** The npm package that brings the program, in the version that is known to work. */
  package?: string;
  /** `_meta` of what we are said to be able to, at the handshake. */
  clientMeta?: Record<string, unknown>;
  /** `_meta` of each session that is opened. */
  sessionMeta?: Record<string, unknown>;
}

export type ProfileConfig = Pick<AgentConfig, "selfCommand" | "childEnvironment">;

/** The adapter's own switches: no traffic but the model's, bounded silent retries, an end to a stream that stalls. */
const CLAUDE_ENV = {
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  CLAUDE_CODE_ENABLE_PROMPT_SUGGESTION: "false",
  CLAUDE_CODE_MAX_RETRIES: "4",
  CLAUDE_ENABLE_BYTE_WATCHDOG: "1",
  CLAUDE_BYTE_STREAM_IDLE_TIMEOUT_MS: "120000",
  CLAUDE_AGENT_ACP_PROTOCOL: "v1",
  // Without it newer models get no list of steps, and nobody sees a plan.
  CLAUDE_CODE_ENABLE_TODO_TOOLS: "1",
  // As root it refuses to skip permission prompts without this.
  IS_SANDBOX: "1",
};

/** By itself it acts without asking: then no permission mode would mean anything, and nothing would be recorded. */
const OPENCODE_CONFIG = {
  autoupdate: false,
  share: "disabled",
  permission: { edit: "ask", bash: "ask", webfetch: "ask" },
};

/**
 * Signing in with a key would write it into the person's home, over their own login: as the variable of a provider it
 * stays in the environment. The snapshot of a shell would hold that environment.
 */
function codexWithKey(env: Record<string, string>): Record<string, string> {
  const id = "openai-key";
  const base_url = env.OPENAI_BASE_URL ?? "https://api.openai.com/v1";
  const provider = { name: "OpenAI", base_url, env_key: "OPENAI_API_KEY", wire_api: "responses" };
  const config = {
    model_provider: id,
    model_providers: { [id]: provider },
    features: { shell_snapshot: false },
    analytics: { enabled: false },
  };
  return { CODEX_CONFIG: JSON.stringify(config), MODEL_PROVIDER: id };
}

/** By itself it lets a model decide what needs no person: then no permission mode would mean anything. */
const CODEX_ENV = { NO_BROWSER: "1", INITIAL_AGENT_MODE: "workspace-write" };

const INSTALLED: Profile[] = [
  {
    id: "claude",
    label: "Claude Code",
    command: "claude-agent-acp",
    args: [],
    env: CLAUDE_ENV,
    package: "@agentclientprotocol/claude-agent-acp@0.100.0",
    // Its silent retries can take minutes: a person is told of them.
    sessionMeta: { claudeCode: { emitRawSDKMessages: [{ type: "system", subtype: "api_retry" }] } },
  },
  {
    id: "opencode",
    label: "OpenCode",
    command: "opencode",
    args: ["acp"],
    env: { OPENCODE_CONFIG_CONTENT: JSON.stringify(OPENCODE_CONFIG) },
    package: "opencode-ai@1.18.33",
  },
  {
    id: "codex",
    label: "Codex",
    command: "codex-acp",
    args: [],
    env: CODEX_ENV,
    withKey: { variable: "OPENAI_API_KEY", env: codexWithKey },
    // Without the first a turn that failed reads like one that ended well; the other brings the output of commands.
    clientMeta: { ...FAILURES_TOLD, terminal_output_delta: true },
    package: "@agentclientprotocol/codex-acp@2.6.0",
  },
  {
    id: "gemini",
    label: "Gemini CLI",
    command: "gemini",
    args: ["--acp"],
    env: {},
    package: "@google/gemini-cli@0.61.0",
  },
];

/** The coding agents that a person installs. */
export function installableProfiles(): readonly Profile[] {
  return INSTALLED;
}

/** The whole environment of a profile's process. */
export function profileEnvironment(profile: Profile, env: Record<string, string>): Record<string, string> {
  const { withKey } = profile;
  return { ...env, ...profile.env, ...withKey && env[withKey.variable] ? withKey.env(env) : {} };
}

/** The profile of this id, installed or not; null for an id that is unknown. */
export function findProfile(id: string, config: ProfileConfig): Profile | null {
  return id === "demo" ? demoProfile(config) : INSTALLED.find((profile) => profile.id === id) ?? null;
}

function demoProfile(config: ProfileConfig): Profile {
  const [command = Deno.execPath(), ...args] = config.selfCommand;
  return { id: "demo", label: "Demo (no model)", command, args: [...args, "demo"], env: {} };
}
