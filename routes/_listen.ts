/**
 * The server of one edge. It ends in bounded time: requests under way get a moment to finish, then every connection is
 * cut. (The platform's own graceful end waits for ever for a peer that vanished while its socket was being opened.)
 */
import { wait } from "../lib/backoff.ts";
import type { App } from "./_context.ts";

const DRAIN_MAX_MS = 2_000;

export interface Listening extends AsyncDisposable {
  addr: Deno.NetAddr;
}

/** Serves `app`. Throws Deno.errors.AddrInUse. */
export function listen(app: App, at: { port: number; hostname: string }): Listening {
  const cut = new AbortController();
  const drained = new AbortController();
  let [underWay, ending] = [0, false];
  const settle = () => underWay === 0 && drained.abort();
  const server = Deno.serve({ ...at, signal: cut.signal, onListen: () => {} }, async (request, info) => {
    underWay++;
    try {
      return await app.fetch(request, info);
    } finally {
      underWay--;
      // The answer leaves after this turn of the event loop.
      if (ending) setTimeout(settle);
    }
  });
  return {
    addr: server.addr,
    async [Symbol.asyncDispose]() {
      ending = true;
      settle();
      await wait(DRAIN_MAX_MS, drained.signal);
      cut.abort();
      await server.finished;
    },
  };
}
