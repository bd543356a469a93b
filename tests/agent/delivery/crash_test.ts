import { assert, assertEquals } from "@std/assert";
import { Reporters } from "../../../agent/delivery/reporters.ts";
import { openDatabase } from "../../../agent/store/database.ts";
import { FakeEdge, type SeenRequest } from "../../fakes/edge_server.ts";
import { deadLetters, makeOutbox, silent, withDataDir, WORKSPACE } from "../store/fixture.ts";
import { makeClient, QUICK } from "./fixture.ts";

const LIVES = 4;
const PER_LIFE = 60;

/** Runs one life of the agent and kills it; answers the number of the next message to make. */
async function live(dataDir: string, edge: FakeEdge, first: number): Promise<number> {
  const script = new URL("./deliver_child.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, dataDir, edge.url, String(first)],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let printed = "";
  let killed = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (killed || printed.split("\n").length <= PER_LIFE) continue;
    child.kill("SIGKILL");
    killed = true;
  }
  assertEquals((await child.status).signal, "SIGKILL");
  return Number(printed.slice(0, printed.lastIndexOf("\n")).split("\n").at(-1)) + 1;
}

Deno.test("killed again and again, with answers lost and faults in between: each message is stored once, in order", () =>
  withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    await makeClient(dataDir, edge);
    let posts = 0;
    edge.script = ({ path }: SeenRequest) => {
      if (!path.endsWith("/messages")) return undefined;
      posts++;
      if (posts % 7 === 0) return new Response(null, { status: 500 });
      if (posts % 11 === 0) edge.expireTokens();
      // Stored, and the answer never arrives as one.
      if (posts % 5 === 0) edge.loseAnswer = true;
      return undefined;
    };
    let next = 0;
    for (let life = 0; life < LIVES; life++) next = await live(dataDir, edge, next);

    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const outbox = makeOutbox(db);
    const client = await makeClient(dataDir, edge);
    await using reporters = new Reporters({ outbox, edge: client, config: QUICK, log: silent });
    await reporters.look();
    await outbox.whenEmpty(WORKSPACE);

    const stored = edge.contents(WORKSPACE);
    assert(next >= LIVES * PER_LIFE);
    assert(stored.length === next || stored.length === next + 1, "the last one may not have been acknowledged");
    assertEquals(stored, Array.from({ length: stored.length }, (_, n) => String(n)));
    assertEquals(await deadLetters(db), []);
  }));
