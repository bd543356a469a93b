/**
 * A TCP proxy between agents and edge that understands just enough HTTP to fail at the worst moments: it knows when a
 * request is whole and when its answer has come. Which fault hits a request is asked of `fault` each time.
 */
import { wait } from "../../lib/backoff.ts";

export type Fault =
  | { kind: "pass" }
  /** The connection is closed before anything is forwarded. */
  | { kind: "refuse" }
  /** Nothing is ever answered; the client's own time-out has to end it. */
  | { kind: "swallow" }
  | { kind: "delay"; ms: number }
  /** Half of the request arrives, then both sides are cut. */
  | { kind: "cut_request" }
  /** The edge does the work, and the answer is lost. */
  | { kind: "cut_answer" }
  /** Half of the answer arrives. */
  | { kind: "half_answer" }
  /** The same request arrives twice at once; the client gets one of the answers. */
  | { kind: "duplicate" }
  /** The same request arrives once more after its answer, as from a network that held a copy back. */
  | { kind: "echo"; ms: number }
  | { kind: "throttle"; bytesPerSecond: number }
  /** Somebody in between answers in place of the edge. */
  | { kind: "status"; status: number; retryAfterSeconds?: number };

/** A request that reached the edge, and its answer, both as JSON where they are. */
export interface Exchange {
  method: string;
  path: string;
  body: unknown;
  status: number;
  answer: unknown;
}

export interface RequestHead {
  method: string;
  path: string;
  bodyBytes: number;
  isSocket: boolean;
}

const HEAD_MAX_BYTES = 64 * 1024;
const PIECE_BYTES = 2_048;

export class Proxy implements AsyncDisposable {
  readonly port: number;
  /** How many requests met each kind of fault. */
  readonly met = new Map<Fault["kind"], number>();
  fault: (request: RequestHead) => Fault = () => ({ kind: "pass" });
  onExchange: (exchange: Exchange) => void = () => {};
  /** No connection holds and none is taken. */
  isCut = false;
  readonly #edgePort: number;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  constructor(edgePort: number) {
    this.#edgePort = edgePort;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  /** Cuts every connection, sockets too. */
  cutAll(): void {
    for (const conn of this.#open) this.#close(conn);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    this.cutAll();
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        this.#open.add(client);
        const work = this.#serve(client).catch(() => {}).finally(() => {
          this.#close(client);
          this.#work.delete(work);
        });
        this.#work.add(work);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** One request a connection: the answer says so, and so the client opens another. */
  async #serve(client: Deno.Conn): Promise<void> {
    if (this.isCut) return;
    const received = await readRequest(client);
    if (!received) return;
    const { head, bytes } = received;
    const fault = this.fault(head);
    this.met.set(fault.kind, (this.met.get(fault.kind) ?? 0) + 1);
    if (head.isSocket && !["refuse", "swallow", "status"].includes(fault.kind)) {
      return await this.#relay(client, bytes, fault.kind === "throttle" ? fault.bytesPerSecond : Infinity);
    }
    await this.#apply(client, bytes, fault);
  }

  async #apply(client: Deno.Conn, request: Uint8Array, fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "refuse":
        return;
      case "swallow":
        while (await client.read(new Uint8Array(1_024)) !== null);
        return;
      case "status":
        return await writeAll(client, answerOf(fault));
      case "cut_request":
        return void await this.#ask(request.subarray(0, Math.floor(request.length / 2)), { cut: true });
      case "cut_answer":
        return void await this.#ask(request);
      case "half_answer": {
        const answer = await this.#ask(request);
        return await writeAll(client, answer.subarray(0, Math.floor(answer.length / 2)));
      }
      case "duplicate": {
        const [first, second] = await Promise.all([this.#ask(request), this.#ask(request)]);
        return await writeAll(client, first.length > 0 ? first : second);
      }
      case "echo":
        await writeAll(client, await this.#ask(request));
        this.#close(client);
        await wait(fault.ms);
        return void await this.#ask(request);
      case "delay":
        await wait(fault.ms);
        return await writeAll(client, await this.#ask(request));
      case "throttle": {
        const answer = await this.#ask(request, { bytesPerSecond: fault.bytesPerSecond });
        return await writeSlowly(client, answer, fault.bytesPerSecond);
      }
      case "pass":
        return await writeAll(client, await this.#ask(request));
    }
  }

  /** The edge's whole answer, empty when it gave none. `cut`: the connection ends after the request's bytes. */
  async #ask(request: Uint8Array, how: { cut?: boolean; bytesPerSecond?: number } = {}): Promise<Uint8Array> {
    const edge = await Deno.connect({ hostname: "127.0.0.1", port: this.#edgePort });
    this.#open.add(edge);
    try {
      await writeSlowly(edge, request, how.bytesPerSecond ?? Infinity);
      if (how.cut) return new Uint8Array();
      const answer = await readToEnd(edge);
      if (answer.length > 0) this.onExchange(toExchange(request, answer));
      return answer;
    } finally {
      this.#close(edge);
    }
  }

  /** A WebSocket: bytes in both directions until one side ends. */
  async #relay(client: Deno.Conn, request: Uint8Array, bytesPerSecond: number): Promise<void> {
    const edge = await Deno.connect({ hostname: "127.0.0.1", port: this.#edgePort });
    this.#open.add(edge);
    const pump = async (from: Deno.Conn, to: Deno.Conn) => {
      const buffer = new Uint8Array(16_384);
      try {
        for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
          await writeSlowly(to, buffer.slice(0, read), bytesPerSecond);
        }
      } finally {
        this.#close(from);
        this.#close(to);
      }
    };
    await writeAll(edge, request);
    await Promise.allSettled([pump(client, edge), pump(edge, client)]);
  }

  #close(conn: Deno.Conn): void {
    if (!this.#open.delete(conn)) return;
    conn.close();
  }
}

/** A request whole, with the header that ends its connection; null when the client went away. */
async function readRequest(client: Deno.Conn): Promise<{ head: RequestHead; bytes: Uint8Array } | null> {
  let received = new Uint8Array();
  const buffer = new Uint8Array(16_384);
  for (let head: RequestHead | null = null, end = -1;;) {
    if (head === null) {
      end = indexOfBlankLine(received);
      if (end >= 0) head = parseHead(new TextDecoder().decode(received.subarray(0, end)));
      else if (received.length > HEAD_MAX_BYTES) return null;
    }
    if (head !== null && received.length >= end + 4 + head.bodyBytes) {
      return { head, bytes: closing(received, end, head) };
    }
    const read = await client.read(buffer);
    if (read === null) return null;
    received = concat([received, buffer.subarray(0, read)]);
  }
}

function parseHead(text: string): RequestHead {
  const [first = "", ...lines] = text.split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const header = (name: string) =>
    lines.find((line) => line.toLowerCase().startsWith(`${name}:`))?.slice(name.length + 1).trim() ?? "";
  const isSocket = header("upgrade").toLowerCase() === "websocket";
  return { method, path, bodyBytes: Number(header("content-length") || 0), isSocket };
}

/** The request with `connection: close` in place of what stood there. */
function closing(request: Uint8Array, headEnd: number, head: RequestHead): Uint8Array {
  if (head.isSocket) return request;
  const lines = new TextDecoder().decode(request.subarray(0, headEnd)).split("\r\n");
  const kept = lines.filter((line) => !line.toLowerCase().startsWith("connection:"));
  const text = `${[...kept, "connection: close"].join("\r\n")}\r\n\r\n`;
  return concat([new TextEncoder().encode(text), request.subarray(headEnd + 4)]);
}

function answerOf({ status, retryAfterSeconds }: Extract<Fault, { kind: "status" }>): Uint8Array {
  const body = "<html>This is not the edge.</html>";
  const retry = retryAfterSeconds === undefined ? "" : `retry-after: ${retryAfterSeconds}\r\n`;
  return new TextEncoder().encode(
    `HTTP/1.1 ${status} Fault\r\ncontent-type: text/html\r\n${retry}content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  );
}

function toExchange(request: Uint8Array, answer: Uint8Array): Exchange {
  const [asked, told] = [splitHead(request), splitHead(answer)];
  const [method = "", path = ""] = asked.first.split(" ");
  return { method, path, body: asked.json, status: Number(told.first.split(" ")[1]), answer: told.json };
}

/** The first line and the body of a message; a chunked body is put together. */
function splitHead(bytes: Uint8Array): { first: string; json: unknown } {
  const end = indexOfBlankLine(bytes);
  const head = new TextDecoder().decode(bytes.subarray(0, end));
  const raw = new TextDecoder().decode(bytes.subarray(end + 4));
  const isChunked = /^transfer-encoding: chunked/im.test(head);
  const text = isChunked ? raw.replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/gi, "").trimEnd() : raw;
  let json: unknown = null;
  try {
    json = text === "" ? null : JSON.parse(text);
  } catch {
    json = text;
  }
  return { first: head.split("\r\n")[0]!, json };
}

function indexOfBlankLine(bytes: Uint8Array): number {
  for (let at = 0; at + 3 < bytes.length; at++) {
    if (bytes[at] === 13 && bytes[at + 1] === 10 && bytes[at + 2] === 13 && bytes[at + 3] === 10) return at;
  }
  return -1;
}

async function readToEnd(conn: Deno.Conn): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(16_384);
  for (let read = await conn.read(buffer); read !== null; read = await conn.read(buffer)) {
    parts.push(buffer.slice(0, read));
  }
  return concat(parts);
}

async function writeAll(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

async function writeSlowly(conn: Deno.Conn, bytes: Uint8Array, bytesPerSecond: number): Promise<void> {
  if (bytesPerSecond === Infinity) return await writeAll(conn, bytes);
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    const piece = bytes.subarray(at, at + PIECE_BYTES);
    await wait(piece.length / bytesPerSecond * 1_000);
    await writeAll(conn, piece);
  }
}

function concat(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
