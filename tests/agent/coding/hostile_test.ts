/** Coding agents that do what no decent one does: nothing of them is left, and the agent itself takes no harm. */
import { assert, assertEquals } from "@std/assert";
import { AcpSession } from "../../../agent/coding/acp.ts";
import { messageLines } from "../../../agent/coding/message_lines.ts";
import { isAlive, listProcesses, readProcess, selectMarked } from "../../../lib/processes.ts";
import { eventually } from "../node/node_harness.ts";
import { type Script, shellAgent } from "../serve/shell_agent.ts";
import { launchOf, NOTHING, record } from "./harness.ts";

const END_TURN = `answer '{"stopReason":"end_turn"}'`;

Deno.test("a message without end closes the session with the reason, and ends the processes", async () => {
  await using wild = await openWild({ onPrompt: "printf '{'; yes | tr -d '\\n'" });
  assertEquals(await wild.session.prompt("go", NOTHING), {
    error: "Noise sent what nobody can read, so it was ended.",
    costUsd: null,
  });
  await wild.session[Symbol.asyncDispose]();
  assertEquals(await selectMarked(await listProcesses(), wild.mark), []);
});

Deno.test("lines that are no messages, and errors without end, do not keep a turn from its end", async () => {
  const noise = `(yes noise | head -n 20000); (yes trouble | head -n 200000) >&2;`;
  await using wild = await openWild({ onPrompt: `${noise} ${END_TURN}` });
  assertEquals(await wild.session.prompt("go", NOTHING), { stopReason: "end_turn", tokens: null, costUsd: null });
});

Deno.test("one that ignores signals, and a daemon that it left behind without its environment, end with the session", async () => {
  const daemon = `env -i /bin/sh -c 'trap "" TERM HUP INT; echo $$ > "$0"; while :; do sleep 1; done' "$PWD/daemon"`;
  const onPrompt = `trap '' TERM HUP INT; (setsid ${daemon} </dev/null >/dev/null 2>&1 &); ${END_TURN}`;
  await using wild = await openWild({ onPrompt });
  await wild.session.prompt("go", NOTHING);
  const pid = await eventually(async () =>
    Number(await Deno.readTextFile(`${wild.folder}/daemon`).catch(() => "")) || null
  );
  const left = await readProcess(pid);
  assert(left && await isAlive(left));
  await wild.session[Symbol.asyncDispose]();
  assertEquals([await isAlive(left), (await selectMarked(await listProcesses(), wild.mark)).length], [false, 0]);
});

Deno.test("only lines that may be messages pass, however they are cut", async () => {
  const text = '{"a":1}\nnoise {\n\n  {"b":"\\u007b"}\n[1]\n{"c":\n';
  for (const size of [1, 3, 1_000]) {
    const pieces = Array.from(
      { length: Math.ceil(text.length / size) },
      (_, i) => text.slice(i * size, (i + 1) * size),
    );
    const passed = ReadableStream.from(pieces).pipeThrough(new TextEncoderStream()).pipeThrough(messageLines());
    assertEquals(await new Response(passed).text(), '{"a":1}\n{"b":"\\u007b"}\n{"c":\n');
  }
});

async function openWild(script: Script) {
  const folder = await Deno.makeTempDir();
  const command = await shellAgent(folder, script);
  const profile = { id: "wild", label: "Noise", command, args: [], env: {} };
  const launch = launchOf(folder, { profile });
  const session = await AcpSession.start(launch);
  await session.open({ cwd: folder, resume: null, events: record().events });
  return {
    folder,
    session,
    mark: launch.mark,
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}
