/** Prompts that are sent into a running turn, at the agent: asked once, in their place, told before the turn's end. */
import { assert, assertEquals } from "@std/assert";
import { newId } from "../../../lib/ids.ts";
import { shellAgent } from "../serve/shell_agent.ts";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, setUp, startNode } from "./node_harness.ts";

/** A command of the demo agent that lasts until the file is there. */
function until(file: string): string {
  return `run until [ -e ${file} ]; do sleep 0.05; done`;
}

function steered(edge: FakeEdge): Record<string, unknown>[] {
  return edge.calls.filter(({ kind, body }) => kind === "turn" && body.event === "steered").map(({ body }) => body);
}

Deno.test("a prompt sent into the turn that runs is answered in it, once, and stands where it came in", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const go = `${set.path}/go`;
  const task = edge.addTask(set.remote, `say one\n${until(go)}\nsay three`);
  const turn = task.prompt!.messageId;
  edge.afterTurn = () => ({ wait: true });
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  const accepted = await edge.untilCall("turn", { promptId: turn, event: "accepted" });
  assertEquals(accepted.body.steering, true);
  const prompt = { messageId: newId(), into: turn, text: "say two" };
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  const told = { promptId: prompt.messageId, event: "steered" as const, into: turn, outcome: "injected" as const };
  await edge.untilCall("turn", told);
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  await Deno.writeTextFile(go, "");
  await edge.untilCall("turn", { promptId: turn, event: "ended" });
  await edge.until(({ messages }) => messages.length >= 5);
  const said = edge.said().filter(([role]) => role !== "tool");
  assertEquals(said, [["assistant", "one"], ["user", "say two"], ["assistant", "two"], ["assistant", "three"]]);
  assertEquals(edge.messages.find(({ role }) => role === "user")?.messageId, prompt.messageId);
  assertEquals(steered(edge), [told]);

  // What was meant for a turn that is over goes back, and the coding agent hears nothing of it.
  const late = { messageId: newId(), into: turn, text: "say late" };
  await eventually(() => node.workspaces.snapshot()[0]?.turn === "idle");
  await node.workspaces.steerPrompt(task.workspaceId, late);
  await edge.untilCall("turn", { promptId: late.messageId, event: "steered", into: turn, outcome: "returned" });
  assertEquals(edge.messages.length, 5);
});

Deno.test("an interrupted turn keeps what came into it: told before the end, and the next prompt begins without it", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "wait 600000");
  const turn = task.prompt!.messageId;
  const next = { messageId: newId(), text: "say next" };
  edge.afterTurn = ({ promptId }) => promptId === turn ? { next } : { wait: true };
  await using node = await startNode(set.path, edge);
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { promptId: turn, event: "accepted" });
  const prompts = ["say a", "say b"].map((text) => ({ messageId: newId(), into: turn, text }));
  await Promise.all(prompts.map((prompt) => node.workspaces.steerPrompt(task.workspaceId, prompt)));
  await node.workspaces.cancelPrompt(task.workspaceId, turn);
  await edge.untilCall("turn", { promptId: next.messageId, event: "ended" });
  const turns = edge.calls.filter(({ kind }) => kind === "turn").map(({ body }) => `${body.promptId} ${body.event}`);
  const ended = turns.indexOf(`${turn} ended`);
  for (const { messageId } of prompts) {
    const at = turns.indexOf(`${messageId} steered`);
    assert(at >= 0 && at < ended, turns.join(", "));
  }
  await edge.until(({ messages }) => messages.some(({ content }) => content === "next"));
  assertEquals(edge.said().filter(([role]) => role === "assistant"), [["assistant", "next"]]);
});

Deno.test("a turn that ends while a prompt is on its way into it is told as ended after what became of the prompt", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const go = `${set.path}/go`;
  await Deno.mkdir(`${set.path}/bin`);
  const chunk = '{"sessionUpdate":"agent_message_chunk","content":{"type":"text","text":"one"}}';
  const program = await shellAgent(`${set.path}/bin`, {
    onPrompt: `prompt=$line; update '${chunk}'`,
    // The turn ends first, and only then it is said that the prompt came in.
    onSteer: `steer=$line; line=$prompt; answer '{"stopReason":"end_turn"}'; line=$steer
      until [ -e ${go} ]; do sleep 0.05; done; sleep 0.5; answer '{"outcome":"injected"}'`,
  });
  await Deno.rename(program, `${set.path}/bin/claude-agent-acp`);
  const task = edge.addTask(set.remote, "one", { codingAgent: "claude" });
  const turn = task.prompt!.messageId;
  edge.afterTurn = () => ({ wait: true });
  const environment = { PATH: `${set.path}/bin:${Deno.env.get("PATH")}` };
  await using node = await startNode(set.path, edge, { environment, config: { prewarmPoolSize: 0 } });
  await node.workspaces.start(task.workspaceId, 1);
  await edge.untilCall("turn", { promptId: turn, event: "accepted", steering: true });
  const prompt = { messageId: newId(), into: turn, text: "two" };
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  // What it said is stored when its turn has ended.
  await edge.until(({ messages }) => messages.some(({ content }) => content === "one"));
  await Deno.writeTextFile(go, "");
  await edge.untilCall("turn", { promptId: turn, event: "ended" });
  const told = { promptId: prompt.messageId, event: "steered" as const, into: turn, outcome: "injected" as const };
  assertEquals(steered(edge), [told]);
  const turns = edge.calls.filter(({ kind }) => kind === "turn").map(({ body }) => body.event);
  assertEquals(turns, ["accepted", "steered", "ended"]);
});

Deno.test("an agent that is started anew never sends a prompt that may have come in, and says so before the end", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const task = edge.addTask(set.remote, "wait 600000");
  const turn = task.prompt!.messageId;
  edge.afterTurn = () => ({ wait: true });
  const prompt = { messageId: newId(), into: turn, text: "say two" };
  {
    await using node = await startNode(set.path, edge);
    await node.workspaces.start(task.workspaceId, 1);
    await edge.untilCall("turn", { promptId: turn, event: "accepted" });
    const row = (await node.rows.get(task.workspaceId))!;
    assertEquals(row.promptState, "running");
    // As a crash leaves it that comes after the mark and before the answer of the coding agent.
    const steers = [{ messageId: prompt.messageId, text: prompt.text }];
    await node.rows.patch(task.workspaceId, { facts: { ...row.facts!, steers } });
  }
  await using node = await startNode(set.path, edge);
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  await edge.untilCall("turn", { promptId: turn, event: "ended" });
  await node.workspaces.steerPrompt(task.workspaceId, prompt);
  const told = { promptId: prompt.messageId, event: "steered" as const, into: turn, outcome: "injected" as const };
  assertEquals(steered(edge), [{ ...told, interrupted: true }]);
  const turns = edge.calls.filter(({ kind }) => kind === "turn").map(({ body }) => body.event);
  assertEquals(turns, ["accepted", "steered", "ended"]);
  await edge.until(({ messages }) => messages.some(({ messageId }) => messageId === prompt.messageId));
  assertEquals(edge.said(), [["user", "say two"]]);
});
