import { assert, assertEquals } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { makeOutbox, waitingContents, withDataDir } from "./fixture.ts";

/** Runs the child until it has acknowledged `until` messages, kills it, and answers the last number it printed. */
async function enqueueUntilKilled(dataDir: string, until: number): Promise<number> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./enqueue_child.ts", import.meta.url).pathname, dataDir],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let printed = "";
  let killed = false;
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    printed += text;
    if (killed || printed.split("\n").length <= until) continue;
    child.kill("SIGKILL");
    killed = true;
  }
  const status = await child.status;
  assertEquals(status.signal, "SIGKILL");
  return Number(printed.trimEnd().split("\n").at(-1));
}

Deno.test("after a SIGKILL every acknowledged message is there, in order, and the lock is free", () =>
  withDataDir(async (dataDir) => {
    const last = await enqueueUntilKilled(dataDir, 200);
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const contents = await waitingContents(makeOutbox(db));
    assert(last >= 199);
    // The one that was being written may be there or not.
    assert(
      contents.length === last + 1 || contents.length === last + 2,
      `${contents.length} rows, ${last} acknowledged`,
    );
    assertEquals(contents, Array.from({ length: contents.length }, (_, n) => String(n)));
  }));
