/** A WebSocket client that reads only when it is told to: what a browser on a bad line looks like to the edge. */

export interface RawFrame {
  opcode: number;
  payload: Uint8Array;
}

const CLOSE = 8;

export class RawSocket implements Disposable {
  readonly #conn: Deno.TcpConn;
  #buffer = new Uint8Array();

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Connects and reads the answer to the upgrade, nothing more. */
  static async open(url: string, path: string, headers: Record<string, string>): Promise<RawSocket> {
    const { hostname, port, host } = new URL(url);
    const socket = new RawSocket(await Deno.connect({ hostname, port: Number(port) }));
    const lines = Object.entries({
      host,
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": btoa("0123456789abcdef"),
      ...headers,
    });
    const request = `GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
    await socket.#conn.write(new TextEncoder().encode(request));
    const end = "\r\n\r\n";
    while (!socket.#text().includes(end)) await socket.#fill();
    socket.#take(socket.#text().indexOf(end) + end.length);
    return socket;
  }

  /** The next frame, or null at the end of the connection. */
  async read(): Promise<RawFrame | null> {
    while (true) {
      const frame = this.#parse();
      if (frame) return frame;
      if (!await this.#fill()) return null;
    }
  }

  /** Everything until the edge closes: how many bytes of text came, and the code. */
  async drain(): Promise<{ bytes: number; code: number | null }> {
    for (let bytes = 0;;) {
      const frame = await this.read();
      if (!frame) return { bytes, code: null };
      if (frame.opcode === CLOSE) return { bytes, code: new DataView(frame.payload.buffer).getUint16(0) };
      bytes += frame.payload.length;
    }
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }

  #text(): string {
    return new TextDecoder("latin1").decode(this.#buffer);
  }

  #take(length: number): Uint8Array {
    const taken = this.#buffer.slice(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return taken;
  }

  async #fill(): Promise<boolean> {
    const chunk = new Uint8Array(1 << 20);
    const length = await this.#conn.read(chunk).catch(() => null);
    if (length === null) return false;
    const joined = new Uint8Array(this.#buffer.length + length);
    joined.set(this.#buffer);
    joined.set(chunk.subarray(0, length), this.#buffer.length);
    this.#buffer = joined;
    return true;
  }

  /** Frames of a server carry no mask. */
  #parse(): RawFrame | null {
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length);
    if (view.byteLength < 2) return null;
    const short = view.getUint8(1) & 0x7f;
    const header = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (view.byteLength < header) return null;
    const length = short === 127 ? Number(view.getBigUint64(2)) : short === 126 ? view.getUint16(2) : short;
    if (view.byteLength < header + length) return null;
    const opcode = view.getUint8(0) & 0x0f;
    this.#take(header);
    return { opcode, payload: this.#take(length) };
  }
}
