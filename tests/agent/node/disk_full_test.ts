/** A node whose disk is full in the middle of a turn: a small file system of its own, filled to the last byte. */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { FakeEdge } from "./fake_edge.ts";
import { eventually, setUp, startNode } from "./node_harness.ts";

/** More than the least that a workspace needs to be started. */
const DISK_BYTES = 1_200 * 1024 ** 2;

Deno.test({
  name: "a full disk: the coding agent is told to stop, the run says why, and what was said is not hurt",
  // Making a small file system needs root.
  ignore: Deno.build.os !== "linux" || Deno.uid() !== 0,
  fn: async () => {
    await using set = await setUp();
    await using disk = await Disk.mount(`${set.path}/disk`);
    await using edge = new FakeEdge();
    const { workspaceId } = edge.addTask(set.remote, "say Before\nrun true\nstream 100000 5");
    await using node = await startNode(disk.path, edge);
    await node.workspaces.start(workspaceId, 1);
    await eventually(async () =>
      (await node.openMessages.list(workspaceId)).some(({ content }) => content.length > 200)
    );
    await disk.fill();
    await eventually(() => node.logged.some((line) => line.includes("disk_full")));
    await disk.free();

    const ended = await eventually(() => edge.calls.find(({ body }) => body.event === "ended") ?? null);
    assertMatch(String(ended.body.error), /^The node's disk is full/);
    await eventually(async () => await node.outbox.depth(workspaceId) === 0);
    const [before, , streamed, ...more] = edge.messages;
    assertEquals([before?.content, more], ["Before", []]);
    assert("word1 ".length < streamed!.content.length && words(100_000).startsWith(streamed!.content));
    assertEquals(streamed!.flags?.interrupted, true);
  },
});

function words(count: number): string {
  return Array.from({ length: count }, (_, n) => `word${n + 1} `).join("");
}

class Disk implements AsyncDisposable {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async mount(path: string): Promise<Disk> {
    await Deno.mkdir(path);
    await run("mount", "-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "tmpfs", path);
    return new Disk(path);
  }

  async fill(): Promise<void> {
    await run("sh", "-c", `cat /dev/zero >"${this.path}/filler" 2>/dev/null || true`);
  }

  async free(): Promise<void> {
    await Deno.remove(`${this.path}/filler`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", "-l", this.path);
  }
}

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, stderr: "piped" }).output();
  assert(success, new TextDecoder().decode(stderr));
}
