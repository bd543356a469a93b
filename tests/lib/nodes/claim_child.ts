/**
 * An edge's process without its server: claims every node whose id and task come in a line on standard input, and says
 * in a line whether it got it. Argument: the data directory that it shares with others.
 */
import { composeEdge } from "../../../lib/admin/compose.ts";
import { readEdgeConfig } from "../../../lib/config.ts";
import { createLogger } from "../../../lib/log.ts";
import { tryClaim } from "../../../lib/nodes/lifecycle.ts";

await using edge = await composeEdge({
  config: readEdgeConfig({ HEARTH_DATA_DIR: Deno.args[0]! }),
  log: createLogger("critical"),
  agentCommand: [],
  agentEnvironment: {},
});
const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
say("ready");
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  for (const line of text.trim().split("\n")) {
    const [nodeId, taskId] = line.split(" ") as [string, string];
    say(String(await tryClaim(edge, nodeId, { taskId, projectId: "project", token: taskId })));
  }
}
