/**
 * Anthropic's Messages API by a script: a real server on a loopback port that streams text in deltas, thinking and tool
 * calls, refuses, stalls and drops, as the script decides from the conversation that it is sent. Calls on the side
 * (titles, counts of tokens, lists of models) are answered without asking the script.
 */
import { z } from "zod";

/** How long a stream that stalls is held: longer than any test waits. */
const STALL_MS = 10 * 60_000;
const USAGE = { input: 1_000, output: 200 };

export type Part =
  | { kind: "text"; text: string; deltas: number }
  | { kind: "thinking"; text: string }
  | { kind: "tool"; name: string; input: Record<string, unknown> }
  /** Nothing is sent until this resolves. */
  | { kind: "hold"; until: Promise<unknown> }
  /** Nothing more is ever sent, and the connection stays. */
  | { kind: "stall" }
  /** The connection ends in the middle. */
  | { kind: "drop" };

export interface Refusal {
  status: number;
  type: string;
  headers?: Record<string, string>;
}

export type Answer = Part[] | Refusal;

/** What the coding agent asks its model. */
export interface Conversation {
  model: string;
  /** The newest text of the person. */
  prompt: string;
  /** Everything that was said so far, by whom it was said. */
  said: { role: string; text: string }[];
  /** What the tools called last gave back, by their names; empty where the person spoke last. */
  results: { name: string; text: string; isError: boolean }[];
  /** The tools that may be called. */
  tools: string[];
  /** How often this very conversation was asked before: 0 unless the coding agent tries again. */
  attempt: number;
}

export type Script = (conversation: Conversation) => Answer;

const block = z.looseObject({ type: z.string() });
const textOrBlocks = z.union([z.string(), z.array(block)]);
const messagesBody = z.looseObject({
  model: z.string(),
  stream: z.boolean().optional(),
  messages: z.array(z.object({ role: z.string(), content: textOrBlocks })),
  tools: z.array(z.looseObject({ name: z.string() })).optional(),
});
type MessagesBody = z.infer<typeof messagesBody>;

export class ModelServer implements AsyncDisposable {
  readonly url: string;
  /** What was asked of the model itself, in order. */
  readonly asked: Conversation[] = [];
  /** The keys that calls came with. */
  readonly keys = new Set<string>();
  /** Every call, as `METHOD /path`. */
  readonly calls: string[] = [];
  readonly #script: Script;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #stop = new AbortController();
  readonly #attempts = new Map<string, number>();
  #lastId = 0;

  private constructor(script: Script) {
    this.#script = script;
    this.#server = Deno.serve({
      port: 0,
      hostname: "127.0.0.1",
      onListen: () => {},
      // What a coding agent that was killed leaves half read.
      onError: () => new Response(null, { status: 500 }),
    }, (request) => this.#answer(request));
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  static start(script: Script): ModelServer {
    return new ModelServer(script);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    this.calls.push(`${request.method} ${pathname}`);
    const key = request.headers.get("x-api-key") ?? request.headers.get("authorization")?.replace("Bearer ", "");
    if (key) this.keys.add(key);
    const text = await request.text();
    if (pathname.endsWith("/count_tokens")) return Response.json({ input_tokens: USAGE.input });
    if (pathname.endsWith("/models")) return Response.json({ data: [], has_more: false });
    if (!pathname.endsWith("/messages")) return Response.json({});
    const body = messagesBody.parse(JSON.parse(text));
    const conversation = this.#read(body);
    const isAside = conversation.tools.length === 0;
    if (!isAside) this.asked.push(conversation);
    const answer = isAside ? [say("Aside")] : this.#script(conversation);
    if (!Array.isArray(answer)) return refuse(answer);
    const id = `msg_${++this.#lastId}`;
    return body.stream ? this.#stream(answer, { id, model: body.model }) : whole(answer, { id, model: body.model });
  }

  #read(body: MessagesBody): Conversation {
    const messages = body.messages.map(({ role, content }) => ({ role, blocks: toBlocks(content) }));
    const names = new Map(
      messages.flatMap(({ blocks }) => blocks.filter((each) => each.type === "tool_use"))
        .map((each) => [String(each.id), String(each.name)]),
    );
    const last = messages.at(-1)?.blocks ?? [];
    const results = last.filter((each) => each.type === "tool_result").map((each) => ({
      name: names.get(String(each.tool_use_id)) ?? "",
      text: textOf(each.content),
      isError: each.is_error === true,
    }));
    const said = messages.map(({ role, blocks }) => ({ role, text: textOf(blocks) }));
    const known = JSON.stringify(said) + results.length;
    const attempt = this.#attempts.get(known) ?? 0;
    this.#attempts.set(known, attempt + 1);
    const prompt = said.findLast(({ role, text }) => role === "user" && text !== "")?.text ?? "";
    return { model: body.model, prompt, said, results, tools: (body.tools ?? []).map(({ name }) => name), attempt };
  }

  #stream(parts: Part[], message: { id: string; model: string }): Response {
    const events = this.#events(parts, message);
    const encoder = new TextEncoder();
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { value, done } = await events.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(`event: ${value.type}\ndata: ${JSON.stringify(value)}\n\n`));
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await events.return(undefined);
      },
    });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  }

  async *#events(
    parts: Part[],
    message: { id: string; model: string },
  ): AsyncGenerator<Record<string, unknown> & { type: string }, void, undefined> {
    yield { type: "message_start", message: shell(message) };
    let index = 0;
    for (const part of parts) {
      if (part.kind === "hold") await this.#until(part.until);
      else if (part.kind === "stall") await this.#until(new Promise(() => {}));
      else if (part.kind === "drop") throw new Error("the script ends the connection here");
      else yield* blockEvents(part, index++);
    }
    const isTool = parts.some((part) => part.kind === "tool");
    const delta = { stop_reason: isTool ? "tool_use" : "end_turn", stop_sequence: null };
    yield { type: "message_delta", delta, usage: { output_tokens: USAGE.output } };
    yield { type: "message_stop" };
  }

  /** Waits, but not beyond the life of this server. */
  async #until(event: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, STALL_MS);
    this.#stop.signal.addEventListener("abort", () => late.resolve(), { once: true });
    if (this.#stop.signal.aborted) late.resolve();
    await Promise.race([event, late.promise]);
    clearTimeout(timer);
  }
}

/** Text in `deltas` pieces. */
export function say(text: string, deltas = 1): Part {
  return { kind: "text", text, deltas };
}

export function think(text: string): Part {
  return { kind: "thinking", text };
}

export function use(name: string, input: Record<string, unknown>): Part {
  return { kind: "tool", name, input };
}

const TYPES: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

/** An answer with this status, as the API gives it. */
export function fail(status: number, headers: Record<string, string> = {}): Refusal {
  return { status, type: TYPES[status] ?? "api_error", headers };
}

function refuse({ status, type, headers }: Refusal): Response {
  const error = { type, message: `the script answers ${status}` };
  return Response.json({ type: "error", error, request_id: "req_test" }, { status, headers });
}

function shell(message: { id: string; model: string }) {
  const usage = {
    input_tokens: USAGE.input,
    output_tokens: 1,
    cache_read_input_tokens: 0,
    cache_creation_input_tokens: 0,
  };
  return { ...message, type: "message", role: "assistant", content: [], stop_reason: null, stop_sequence: null, usage };
}

/** Without a stream: what side calls and counts use. */
function whole(parts: Part[], message: { id: string; model: string }): Response {
  const content = parts.flatMap((part) => part.kind === "text" ? [{ type: "text", text: part.text }] : []);
  return Response.json({ ...shell(message), content, stop_reason: "end_turn" });
}

function* blockEvents(part: Extract<Part, { kind: "text" | "thinking" | "tool" }>, index: number) {
  const delta = (change: Record<string, unknown>) => ({ type: "content_block_delta", index, delta: change });
  const start = (content_block: Record<string, unknown>) => ({ type: "content_block_start", index, content_block });
  if (part.kind === "text") {
    yield start({ type: "text", text: "" });
    for (const text of pieces(part.text, part.deltas)) yield delta({ type: "text_delta", text });
  } else if (part.kind === "thinking") {
    yield start({ type: "thinking", thinking: "", signature: "" });
    for (const thinking of pieces(part.text, 3)) yield delta({ type: "thinking_delta", thinking });
    yield delta({ type: "signature_delta", signature: "c2lnbmF0dXJl" });
  } else {
    yield start({
      type: "tool_use",
      id: `toolu_${crypto.randomUUID().replaceAll("-", "")}`,
      name: part.name,
      input: {},
    });
    for (const json of pieces(JSON.stringify(part.input), 3)) {
      yield delta({ type: "input_json_delta", partial_json: json });
    }
  }
  yield { type: "content_block_stop", index };
}

function pieces(text: string, count: number): string[] {
  const size = Math.max(1, Math.ceil(text.length / Math.max(1, count)));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}

function toBlocks(content: z.infer<typeof textOrBlocks>): z.infer<typeof block>[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

/** The text of a message, without what the coding agent itself adds for its model. */
function textOf(content: unknown): string {
  const read = textOrBlocks.safeParse(content);
  if (!read.success) return "";
  return toBlocks(read.data)
    .map((each) => each.type === "text" && typeof each.text === "string" ? each.text : "")
    .filter((text) => !text.startsWith("<system-reminder>"))
    .join("");
}
