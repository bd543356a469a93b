/** Peers that ask for a socket and are gone before it is open: what makes the platform's own end of a server hang. */

const PEERS = 40;

/** Every other one goes without having read a byte. */
export async function comeAndVanish(url: string, headers: Record<string, string> = {}): Promise<void> {
  const { hostname, port, pathname, search } = new URL(url);
  const lines = [
    `GET ${pathname}${search} HTTP/1.1`,
    `Host: ${hostname}:${port}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa("0123456789abcdef")}`,
    "",
    "",
  ];
  for (let i = 0; i < PEERS; i++) {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(new TextEncoder().encode(lines.join("\r\n")));
    if (i % 2) await connection.read(new Uint8Array(16));
    connection.close();
  }
}
