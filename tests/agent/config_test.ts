import { assert, assertEquals, assertThrows } from "@std/assert";
import { readAgentConfig, readDataDir } from "../../agent/config.ts";
import { ConfigError } from "../../lib/env.ts";

const NODE_ID = "0197f000-0000-7000-8000-0000000000aa";
const NEEDED = { NODE_ID, CONTROL_PLANE_URL: "https://hearth.example.org" };

Deno.test("every limit and time-out has the documented default", () => {
  const config = readAgentConfig(NEEDED);
  assertEquals(
    [config.msgBatchMaxWaitMs, config.msgBatchMaxSize, config.msgBatchMaxBytes, config.msgMaxMessageContentBytes],
    [2_000, 50, 65_536, 204_800],
  );
  assertEquals([config.msgOutboxMaxSize, config.msgOutboxMaxBytes], [10_000, 536_870_912]);
  assertEquals(
    [config.msgRetryInitialIntervalMs, config.msgRetryMaxIntervalMs, config.msgRetryMaxElapsedTimeMs],
    [1_000, 30_000, 300_000],
  );
  assertEquals([config.msgHttpTimeoutMs, config.msgRefusedHoldMs], [10_000, 900_000]);
  assertEquals([config.turnStallTimeoutMs, config.toolStallTimeoutMs, config.prewarmPoolSize], [600_000, 3_600_000, 1]);
  assertEquals([config.mirrorCacheMaxBytes, config.hearthPoweroff, config.gitAllowFile], [
    10_737_418_240,
    false,
    false,
  ]);
  assertEquals(config.nodeHardLifetimeMs, 86_400_000);
});

Deno.test("what is set counts, and what is set to nothing counts as not set", () => {
  const config = readAgentConfig({
    ...NEEDED,
    NODE_ID: NODE_ID.toUpperCase(),
    MSG_BATCH_MAX_SIZE: "7",
    MSG_REFUSED_HOLD_MS: "0",
    GIT_ALLOW_FILE: "1",
    BOOTSTRAP_TOKEN: "",
    PROJECT_ID: "",
    CHAT_SESSION_ID: "",
    AGENT_DATA_DIR: "/var/lib/hearth/../hearth-agent",
  });
  assertEquals([config.nodeId, config.msgBatchMaxSize, config.msgRefusedHoldMs, config.gitAllowFile], [
    NODE_ID,
    7,
    0,
    true,
  ]);
  assertEquals([config.bootstrapToken, config.projectId, config.chatSessionId], [null, null, null]);
  assertEquals(config.dataDir, "/var/lib/hearth-agent");
  assertEquals(readDataDir({ AGENT_DATA_DIR: "/a" }), "/a");
});

Deno.test("all problems are told at once, and no value is repeated", () => {
  const bad = { NODE_ID: "secret-looking", MSG_BATCH_MAX_SIZE: "0", LOG_LEVEL: "loud", MSG_HTTP_TIMEOUT_MS: "soon" };
  const error = assertThrows(() => readAgentConfig(bad), ConfigError);
  for (const name of ["NODE_ID", "CONTROL_PLANE_URL", "MSG_BATCH_MAX_SIZE", "LOG_LEVEL", "MSG_HTTP_TIMEOUT_MS"]) {
    assert(error.message.includes(name), name);
  }
  assert(!error.message.includes("secret-looking"));
});

Deno.test("http is refused for an edge that is not on this machine", () => {
  const read = (url: string) => readAgentConfig({ ...NEEDED, CONTROL_PLANE_URL: url }).controlPlaneUrl;
  assertEquals(read("http://127.0.0.1:8000/"), "http://127.0.0.1:8000");
  assertEquals(read("http://localhost:8000"), "http://localhost:8000");
  assertEquals(read("http://[::1]:8000"), "http://[::1]:8000");
  assertEquals(read("https://hearth.example.org/"), "https://hearth.example.org");
  const refused = [
    "http://hearth.example.org",
    "http://127.0.0.1.example.org",
    "http://192.168.1.5:8000",
    "ftp://localhost",
    "hearth.example.org",
    "https://user:password@hearth.example.org",
  ];
  for (const url of refused) assertThrows(() => read(url), ConfigError, "CONTROL_PLANE_URL");
});

Deno.test("the longest interval is not below the first", () => {
  const wrong = { ...NEEDED, MSG_RETRY_INITIAL_INTERVAL_MS: "100", MSG_RETRY_MAX_INTERVAL_MS: "50" };
  assertThrows(() => readAgentConfig(wrong), ConfigError, "MSG_RETRY_MAX_INTERVAL_MS");
});

Deno.test("the program knows how it is started again: this source, or the packed executable", () => {
  const [command, ...args] = readAgentConfig(NEEDED).selfCommand;
  assertEquals(command, Deno.execPath());
  assert(args.at(-1)!.endsWith("/agent/main.ts"));
  const packed = readAgentConfig({ ...NEEDED, HEARTH_AGENT_EXECUTABLE: "/usr/local/bin/hearth-agent" });
  assertEquals(packed.selfCommand, ["/usr/local/bin/hearth-agent"]);
});
