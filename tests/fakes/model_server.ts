/**
 * A model's service by a script: a real server on a loopback port that speaks the APIs of Anthropic, OpenAI and Google,
 * streams text in deltas, thinking and tool calls, refuses, stalls and drops, as the script decides from the
 * conversation that it is sent. Calls on the side (titles, counts of tokens, lists of models) are answered without
 * asking the script.
 */
import { readAnthropic } from "./model_anthropic.ts";
import { readGoogle } from "./model_google.ts";
import { readOpenAi } from "./model_openai.ts";
import { type Asked, type Conversation, type ModelApi, type Pause, type Script, USAGE } from "./model_script.ts";

/** How long a stream that stalls is held: longer than any test waits. */
const STALL_MS = 10 * 60_000;
const APIS: ModelApi[] = [readAnthropic, readOpenAi, readGoogle];

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
    const { headers } = request;
    const key = headers.get("x-api-key") ?? headers.get("x-goog-api-key") ??
      headers.get("authorization")?.replace("Bearer ", "");
    if (key) this.keys.add(key);
    const text = await request.text();
    const asked = request.method === "POST" ? readAsked(pathname, text) : null;
    if (!asked) return besides(pathname);
    const isAside = asked.tools.length === 0;
    const said = isAside ? asked.aside : this.#script(this.#note(asked));
    if (!Array.isArray(said)) return asked.refuse(said);
    const answer = asked.answer(said, `${++this.#lastId}`);
    return answer instanceof Response ? answer : this.#stream(answer);
  }

  #note({ model, said, results, tools }: Asked): Conversation {
    const known = JSON.stringify(said) + results.length;
    const attempt = this.#attempts.get(known) ?? 0;
    this.#attempts.set(known, attempt + 1);
    const prompt = said.findLast(({ role, text }) => role === "user" && text !== "")?.text ?? "";
    const conversation = { model, prompt, said, results, tools, attempt };
    this.asked.push(conversation);
    return conversation;
  }

  #stream(answer: Iterable<string | Pause>): Response {
    const frames = this.#paced(answer);
    const encoder = new TextEncoder();
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        try {
          const { value, done } = await frames.next();
          if (done) controller.close();
          else controller.enqueue(encoder.encode(value));
        } catch (error) {
          controller.error(error);
        }
      },
      async cancel() {
        await frames.return(undefined);
      },
    });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  }

  async *#paced(answer: Iterable<string | Pause>): AsyncGenerator<string, void, undefined> {
    for (const each of answer) {
      if (typeof each === "string") yield each;
      else if (each.kind === "hold") await this.#until(each.until);
      else if (each.kind === "stall") await this.#until(new Promise(() => {}));
      else throw new Error("the script ends the connection here");
    }
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

function readAsked(path: string, text: string): Asked | null {
  for (const read of APIS) {
    const asked = read(path, text);
    if (asked) return asked;
  }
  return null;
}

/** Calls that ask no model. */
function besides(path: string): Response {
  if (path.endsWith("/count_tokens")) return Response.json({ input_tokens: USAGE.input });
  if (path.endsWith(":countTokens")) return Response.json({ totalTokens: USAGE.input });
  if (path.endsWith("/models")) return Response.json({ data: [], has_more: false });
  return Response.json({});
}
