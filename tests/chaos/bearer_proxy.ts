/**
 * What stands between a page and its edge in these tests: adds the key that a browser would keep as a cookie, and cuts
 * sockets wherever they are, in the middle of a frame too.
 */
export class BearerProxy implements AsyncDisposable {
  readonly url: string;
  /** How often a socket was cut. */
  cuts = 0;
  readonly #target: number;
  readonly #key: string;
  readonly #listener: Deno.TcpListener;
  readonly #sockets = new Set<Deno.Conn>();
  readonly #all = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();
  /** The open sockets end after so many further bytes to the page; null: they hold. */
  #bytesLeft: number | null = null;

  constructor(target: URL, key: string) {
    this.#target = Number(target.port);
    this.#key = key;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#start(this.#accept());
  }

  /** Ends the open sockets after so many further bytes, at once with 0. */
  cutAfter(bytes: number): void {
    this.#bytesLeft = bytes;
    if (bytes > 0) return;
    for (const socket of this.#sockets) this.#cut(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#all) this.#close(conn);
    await Promise.all(this.#work);
  }

  async #accept(): Promise<void> {
    while (true) {
      const client = await this.#listener.accept().catch(() => null);
      if (!client) return;
      this.#start(this.#serve(client));
    }
  }

  #start(work: Promise<void>): void {
    const noted = work.catch(() => {}).finally(() => this.#work.delete(noted));
    this.#work.add(noted);
  }

  /** One request a connection, so that each one's head is where it is looked for. */
  async #serve(client: Deno.Conn): Promise<void> {
    this.#all.add(client);
    const first = new Uint8Array(65_536);
    const read = await client.read(first);
    if (read === null) return this.#close(client);
    const head = new TextDecoder().decode(first.subarray(0, read));
    const isSocket = /^upgrade: websocket/im.test(head);
    const more = `authorization: Bearer ${this.#key}\r\n${isSocket ? "" : "connection: close\r\n"}`;
    const asked = (isSocket ? head : head.replace(/^connection:.*\r\n/im, "")).replace("\r\n", `\r\n${more}`);
    const edge = await Deno.connect({ hostname: "127.0.0.1", port: this.#target });
    this.#all.add(edge);
    await edge.write(new TextEncoder().encode(asked));
    if (isSocket) {
      this.#bytesLeft = null;
      this.#sockets.add(client);
    }
    await Promise.all([this.#pump(client, edge, false), this.#pump(edge, client, isSocket)]);
  }

  async #pump(from: Deno.Conn, to: Deno.Conn, counted: boolean): Promise<void> {
    const buffer = new Uint8Array(16_384);
    try {
      for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
        const most = counted && this.#bytesLeft !== null ? Math.min(read, this.#bytesLeft) : read;
        for (let at = 0; at < most;) at += await to.write(buffer.subarray(at, most));
        if (!counted || this.#bytesLeft === null) continue;
        this.#bytesLeft -= most;
        if (this.#bytesLeft === 0) return this.#cut(to);
      }
    } catch {
      // The other side was cut.
    } finally {
      this.#close(from);
      this.#close(to);
    }
  }

  #cut(socket: Deno.Conn): void {
    if (!this.#sockets.has(socket)) return;
    this.cuts++;
    this.#close(socket);
  }

  #close(conn: Deno.Conn): void {
    this.#sockets.delete(conn);
    if (this.#all.delete(conn)) conn.close();
  }
}
