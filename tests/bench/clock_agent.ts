/**
 * A coding agent that says what time it is: asked for `N MS`, it streams N chunks, MS milliseconds apart, each the time
 * at which it was written to the pipe, in milliseconds with a fraction. One process, no dependency, so that twenty of
 * them leave the processor to what is measured.
 */
import { z } from "zod";

const request = z.looseObject({
  id: z.number().optional(),
  method: z.string(),
  params: z.looseObject({ prompt: z.array(z.looseObject({ text: z.string() })).optional() }).optional(),
});

if (import.meta.main) await serve();

async function serve(): Promise<void> {
  let rest = "";
  for await (const bytes of Deno.stdin.readable) {
    const lines = (rest + new TextDecoder().decode(bytes)).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) void answer(request.parse(JSON.parse(line)));
  }
}

async function answer({ id, method, params }: z.infer<typeof request>): Promise<void> {
  if (id === undefined) return;
  if (method === "initialize") return send({ id, result: { protocolVersion: 1, agentCapabilities: {} } });
  if (method === "session/new") return send({ id, result: { sessionId: "clock" } });
  const [count = 0, apartMs = 0] = (params?.prompt?.[0]?.text ?? "").split(" ").map(Number);
  const begun = performance.now();
  for (let n = 0; n < count; n++) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, begun + n * apartMs - performance.now())));
    const text = `${(performance.timeOrigin + performance.now()).toFixed(3)};`;
    const update = { sessionUpdate: "agent_message_chunk", messageId: "m", content: { type: "text", text } };
    send({ method: "session/update", params: { sessionId: "clock", update } });
  }
  send({ id, result: { stopReason: "end_turn" } });
}

function send(message: Record<string, unknown>): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`));
}
