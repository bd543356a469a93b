import { assert, assertEquals, assertThrows } from "@std/assert";
import { readServeConfig } from "../../../agent/serve/config.ts";
import { ConfigError } from "../../../lib/env.ts";

const KEY = { HEARTH_API_KEY: "a-key" };

Deno.test("TASK-003-AC1 every variable has its documented default", () => {
  const config = readServeConfig(KEY);
  assertEquals([config.prewarmPoolSize, config.maxSessions, config.maxSessionDurationMs], [2, 10, 14_400_000]);
  assertEquals([config.durationWarningPercent, config.maxSessionRssBytes], [90, 2_048 * 1024 * 1024]);
  assertEquals([config.sessionIdleTimeoutMs, config.sessionIdleGraceMs], [1_800_000, 300_000]);
  assertEquals([config.prewarmTimeoutMs, config.prewarmBackoffMs], [60_000, 300_000]);
  assertEquals([config.host, config.port, config.logLevel], ["127.0.0.1", 8_000, "info"]);
  assertEquals([config.databasePath, config.projectDir], [`${Deno.cwd()}/data/sessions.db`, Deno.cwd()]);
  assertEquals(config.profile.id, "demo");
});

Deno.test("the coding agent is Claude Code where there is a model key, and whatever command is given", () => {
  const claude = readServeConfig({ ...KEY, ANTHROPIC_API_KEY: "sk-ant-1" });
  assertEquals([claude.profile.id, claude.childEnvironment.ANTHROPIC_API_KEY], ["claude", "sk-ant-1"]);
  const other = readServeConfig({ ...KEY, CODING_AGENT_COMMAND: `my-agent --acp "two words"` }).profile;
  assertEquals([other.command, other.args], ["my-agent", ["--acp", "two words"]]);
  assertEquals("HEARTH_API_KEY" in claude.childEnvironment, false);
});

Deno.test("what is out of bounds is refused, all at once, and no value is repeated", () => {
  const bad = {
    HEARTH_API_KEY: "ü".repeat(3),
    PREWARM_POOL_SIZE: "0",
    MAX_SESSIONS: "0",
    MAX_SESSION_DURATION_SECONDS: "59",
    DURATION_WARNING_PERCENT: "100",
    MAX_SESSION_RSS_MB: "511",
    SESSION_IDLE_TIMEOUT_SECONDS: "1",
    PREWARM_TIMEOUT_SECONDS: "9",
    DATABASE_URL: "postgres://secret-host",
  };
  const { message } = assertThrows(() => readServeConfig(bad), ConfigError);
  for (const name of Object.keys(bad)) assert(message.includes(name), name);
  assert(!message.includes("secret-host"));
  assertThrows(() => readServeConfig({}), ConfigError, "HEARTH_API_KEY");
  assertThrows(() => readServeConfig({ HEARTH_API_KEY: "x".repeat(257) }), ConfigError, "HEARTH_API_KEY");
});
