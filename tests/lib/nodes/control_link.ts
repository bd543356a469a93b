/** The agent's end of a control link, frame by frame. */
// @ts-types="../../../agent/node/ws.d.ts"
import WebSocket from "ws";
import { type CommandFrame, type ToAgentFrame, toAgentFrame } from "../../../lib/wire/control.ts";
import type { FakeAgent } from "../../fakes/agent.ts";
import { within } from "../live/within.ts";

export class RawLink implements AsyncDisposable {
  readonly frames: ToAgentFrame[] = [];
  /** The code with which the link was closed, or the status that refused it. */
  readonly closed: Promise<number>;
  readonly opened: Promise<void>;
  readonly #socket: WebSocket;
  #changed = Promise.withResolvers<void>();

  constructor(url: string, nodeId: string, token: string) {
    this.#socket = new WebSocket(`${url.replace("http", "ws")}/api/nodes/${nodeId}/control`, {
      headers: { authorization: `Bearer ${token}` },
    });
    this.#socket.on("message", (data) => {
      this.frames.push(toAgentFrame.parse(JSON.parse(data.toString())));
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
    this.opened = new Promise((resolve) => this.#socket.on("open", () => resolve()));
    this.closed = new Promise((resolve) => {
      this.#socket.on("error", (error) => resolve(Number(/\d{3}/.exec(error.message)?.[0] ?? 0)));
      this.#socket.on("close", (code) => resolve(code));
    });
  }

  /** Opens one more link of the agent's node and greets with `lastSeq`; null: says nothing. */
  static async of(agent: FakeAgent, lastSeq: number | null): Promise<RawLink> {
    const link = new RawLink(agent.url, agent.nodeId, agent.registered!.callbackToken);
    await link.opened;
    if (lastSeq === null) return link;
    link.send({ type: "hello", protocol: 1, agentVersion: "0.1.0", instanceId: "raw", lastSeq });
    await link.until((frames) => frames.some(({ type }) => type === "hello"));
    return link;
  }

  send(frame: unknown): void {
    this.#socket.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  get commands(): CommandFrame[] {
    return this.frames.filter((frame) => frame.type === "command");
  }

  async until(fits: (frames: ToAgentFrame[]) => boolean): Promise<void> {
    while (!fits(this.frames)) await within(`frames for which ${fits} holds`, this.#changed.promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }
}
