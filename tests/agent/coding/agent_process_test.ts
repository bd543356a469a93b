/** The coding agent's process where its end overtakes its start. */
import { assertEquals, assertRejects } from "@std/assert";
import { AcpSession } from "../../../agent/coding/acp.ts";
import { AgentProcess } from "../../../agent/coding/agent_process.ts";
import { wait } from "../../../lib/backoff.ts";
import { listProcesses, selectMarked } from "../../../lib/processes.ts";
import { within } from "../../lib/live/within.ts";
import { shellAgent } from "../serve/shell_agent.ts";
import { launchOf, record } from "./harness.ts";

Deno.test("a coding agent that is told to end just before it starts, and hangs then, is ended all the same", async () => {
  const folder = await Deno.makeTempDir();
  const command = await shellAgent(folder, { onStart: "sleep 1000", onPrompt: ":" });
  const launch = launchOf(folder, { profile: { id: "x", label: "X", command, args: [], env: {} } });
  const process = new AgentProcess(launch.mark);
  const starting = Promise.withResolvers<void>();
  const start = async () => {
    starting.resolve();
    // So that what is looked for at first is not there yet.
    await wait(500);
    return await AcpSession.start(launch);
  };
  const refused = assertRejects(() =>
    process.open(start, () => ({ cwd: folder, resume: null, events: record().events }))
  );
  await starting.promise;
  await within("its end", process.end(), { maxMs: 30_000 });
  await refused;
  assertEquals(await selectMarked(await listProcesses(), launch.mark), []);
  await Deno.remove(folder, { recursive: true });
});
