/** A failure that a coding agent also says in the conversation is told once, and only where it was one. */
import { assertEquals } from "@std/assert";
import { AcpSession } from "../../../agent/coding/acp.ts";
import { shellAgent } from "../serve/shell_agent.ts";
import { launchOf, NOTHING, record, textOf } from "./harness.ts";

const SAY = (text: string) =>
  `update '{"sessionUpdate":"agent_message_chunk","messageId":"m","content":{"type":"text","text":"${text}"}}'`;
const COMMANDS = `update '{"sessionUpdate":"available_commands_update","availableCommands":[]}'`;
const USAGE = `update '{"sessionUpdate":"usage_update","used":1,"size":2}'`;
const FAIL = `echo '{"jsonrpc":"2.0","id":2,"error":{"code":-32603,"message":"Internal error: API Error: 529 away",` +
  `"data":{"errorKind":"server_error"}}}'`;

/** What the agent says, and how the turn ends. */
async function play(onPrompt: string) {
  const folder = await Deno.makeTempDir();
  try {
    const profile = { id: "x", label: "X", command: await shellAgent(folder, { onPrompt }), args: [], env: {} };
    await using session = await AcpSession.start(launchOf(folder, { profile }));
    const recorded = record();
    await session.open({ cwd: folder, resume: null, events: recorded.events });
    const end = await session.prompt("go", NOTHING);
    return { text: textOf(recorded.updates), failed: "error" in end ? end.error.slice(0, 14) : null };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the text of a failure is not shown besides the failure, whatever comes between them", async () => {
  const end = await play(`${SAY("API Error: 529 away")}; ${COMMANDS}; ${USAGE}; ${FAIL}`);
  assertEquals(end, { text: "", failed: "The AI service" });
});

Deno.test("an answer that only begins like a failure is shown whole", async () => {
  const done = `answer '{"stopReason":"end_turn"}'`;
  assertEquals(await play(`${SAY("API Error: 529")}; ${COMMANDS}; ${SAY(" means busy.")}; ${done}`), {
    text: "API Error: 529 means busy.",
    failed: null,
  });
  assertEquals(await play(`${SAY("API Error: 529")}; ${done}`), { text: "API Error: 529", failed: null });
});
