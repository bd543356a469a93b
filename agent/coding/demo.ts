/**
 * A coding agent without a model, spoken to over ACP on stdio: it does what plain sentences say, one instruction a
 * line (see `demo_language.ts`), streams, uses tools, asks permission, can be cancelled and gone on with. It makes
 * the first run and the tests work on a machine without any key.
 */
import { agent, type AgentContext, methods, ndJsonStream, RequestError } from "@agentclientprotocol/sdk/unstable";
import { newId } from "../../lib/ids.ts";
import { STEER_METHOD, steerParams } from "./steering.ts";
import { DemoMemory } from "./demo_memory.ts";
import { type DemoTurn, runInstruction } from "./demo_instructions.ts";
import { type Instruction, readInstructions } from "./demo_language.ts";

interface DemoSession {
  cwd: string;
  memory: DemoMemory;
  toolServers: string[];
  /** Aborted by session/cancel; one for each prompt. */
  turn: AbortController | null;
  /** What came into the turn that runs: done after the instruction under way. */
  steered: Instruction[];
  /** What the conversation is said to have cost, in all. */
  spentUsd: number;
}

/** Serves ACP on stdin and stdout until stdin ends. */
export async function runDemo(): Promise<void> {
  const sessions = new Map<string, DemoSession>();
  const connection = agent({ name: "demo" })
    .onRequest(methods.agent.initialize, () => ({
      protocolVersion: 1,
      agentCapabilities: { loadSession: true, sessionCapabilities: { resume: {} } },
      agentInfo: { name: "demo", version: "1.0.0" },
      _meta: { steering: { supported: true } },
    }))
    .onRequest(methods.agent.session.new, async ({ params }) => {
      const sessionId = newId();
      const memory = await DemoMemory.create(params.cwd, sessionId);
      sessions.set(sessionId, newSession(params, memory));
      return { sessionId };
    })
    .onRequest(methods.agent.session.load, async ({ params, client }) => {
      const memory = await openMemory(params);
      sessions.set(params.sessionId, newSession(params, memory));
      await replay(client, params.sessionId, memory);
      return {};
    })
    .onRequest(methods.agent.session.resume, async ({ params }) => {
      sessions.set(params.sessionId, newSession(params, await openMemory(params)));
      return {};
    })
    .onRequest(methods.agent.session.prompt, async ({ params, client }) => {
      const session = sessions.get(params.sessionId);
      if (!session) throw RequestError.resourceNotFound(params.sessionId);
      const text = params.prompt.map((block) => block.type === "text" ? block.text : "").join("\n");
      return await answer(client, { sessionId: params.sessionId, text, own: session });
    })
    .onRequest(STEER_METHOD, (params: unknown) => steerParams.parse(params), async ({ params }) => {
      const session = sessions.get(params.sessionId);
      if (!session?.turn) return { outcome: "promptRequired", reason: "noRunningTurn" };
      const text = params.prompt.map((block) => block.text).join("\n");
      session.steered.push(...readInstructions(text));
      await session.memory.add({ role: "user", text });
      return { outcome: "injected" };
    })
    .onNotification(methods.agent.session.cancel, ({ params }) => {
      sessions.get(params.sessionId)?.turn?.abort();
    })
    .connect(ndJsonStream(Deno.stdout.writable, Deno.stdin.readable));
  await connection.closed;
}

interface Place {
  cwd: string;
  mcpServers?: { name: string }[];
}

function newSession({ cwd, mcpServers = [] }: Place, memory: DemoMemory): DemoSession {
  const asked = memory.entries.filter(({ role }) => role === "user").flatMap(({ text }) => readInstructions(text));
  const spentUsd = asked.reduce((sum, each) => sum + (each.kind === "spend" ? each.usd : 0), 0);
  return { cwd, memory, toolServers: mcpServers.map(({ name }) => name), turn: null, steered: [], spentUsd };
}

interface Prompted {
  sessionId: string;
  text: string;
  own: DemoSession;
}

/** Carries out one prompt, an instruction at a time; cancelling ends it at the instruction under way. */
async function answer(client: AgentContext, prompted: Prompted) {
  const { sessionId, text, own } = prompted;
  const { cwd, memory, toolServers } = own;
  own.turn?.abort();
  const controller = own.turn = new AbortController();
  await memory.add({ role: "user", text });
  const said: string[] = [];
  const spend = async (usd: number) => {
    own.spentUsd += usd;
    await tellUsage(client, sessionId, { used: 0, usd: own.spentUsd });
  };
  const turn: DemoTurn = { client, sessionId, cwd, toolServers, signal: controller.signal, said, spend };
  try {
    const asked = readInstructions(text);
    own.steered = [];
    while (!controller.signal.aborted) {
      const instruction = own.steered.shift() ?? asked.shift();
      if (!instruction) break;
      await runInstruction(turn, instruction);
    }
  } finally {
    if (own.turn === controller) own.turn = null;
    await memory.add({ role: "agent", text: said.join("\n\n") });
  }
  return {
    stopReason: controller.signal.aborted ? "cancelled" as const : "end_turn" as const,
    ...await report(turn, text, own.spentUsd),
  };
}

/** Usage in made-up tokens of four characters, and a cost of nothing but what was said to be spent. */
async function report({ client, sessionId, said }: DemoTurn, text: string, usd: number) {
  const inputTokens = Math.ceil(text.length / 4);
  const outputTokens = Math.ceil(said.join("").length / 4);
  const totalTokens = inputTokens + outputTokens;
  await tellUsage(client, sessionId, { used: totalTokens, usd });
  return { usage: { inputTokens, outputTokens, totalTokens } };
}

async function tellUsage(
  client: AgentContext,
  sessionId: string,
  { used, usd }: { used: number; usd: number },
): Promise<void> {
  await client.notify(methods.client.session.update, {
    sessionId,
    update: { sessionUpdate: "usage_update", used, size: 200_000, cost: { amount: usd, currency: "USD" } },
  });
}

async function openMemory(params: { cwd: string; sessionId: string }): Promise<DemoMemory> {
  const memory = await DemoMemory.open(params.cwd, params.sessionId);
  if (!memory) throw RequestError.resourceNotFound(params.sessionId);
  return memory;
}

async function replay(client: AgentContext, sessionId: string, memory: DemoMemory): Promise<void> {
  for (const { role, text } of memory.entries) {
    const sessionUpdate = role === "user" ? "user_message_chunk" as const : "agent_message_chunk" as const;
    await client.notify(methods.client.session.update, {
      sessionId,
      update: { sessionUpdate, messageId: newId(), content: { type: "text", text } },
    });
  }
}
