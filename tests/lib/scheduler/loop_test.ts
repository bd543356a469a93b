/** The loop over due keys, with each of its alarms: queued messages of a store in a file, and timers alone. */
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { newSealKey } from "../../../lib/auth/seal.ts";
import { DueLoop } from "../../../lib/scheduler/loop.ts";
import { putDestroying } from "../../../lib/nodes/state.ts";
import { change } from "../../../lib/store/change.ts";
import { listDue, scheduleLoose, takeDue } from "../../../lib/store/due.ts";
import { nodeKey, workspaceKey } from "../../../lib/store/keys.ts";
import { openStore } from "../../../lib/store/store.ts";
import { interceptLists } from "../../fakes/failing_store.ts";
import type { TestEdgeOptions } from "../../edge.ts";
import { within } from "../live/within.ts";
import { nodeRecord } from "../nodes/node_records.ts";
import { type Bench, startBench } from "../tasks/fixture.ts";

/** A bench for each kind of alarm. */
function testBoth(name: string, options: TestEdgeOptions, work: (bench: Bench) => Promise<void>): void {
  Deno.test(`${name} (timers)`, async () => {
    await using bench = await startBench({ ...options, queues: false });
    await work(bench);
  });
  Deno.test(`${name} (queues)`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "hearth-kv-" });
    try {
      await using bench = await startBench({
        ...options,
        queues: true,
        env: { ...options.env, HEARTH_KV: join(directory, "hearth.kv") },
      });
      await work(bench);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

/** Waits until the record at `key` is as wanted. */
async function until<T>(bench: Bench, key: Deno.KvKey, is: (record: T) => boolean): Promise<void> {
  const watcher = bench.edge.store.kv.watch<[T]>([key]).getReader();
  for (let done = false; !done;) {
    const record = (await watcher.read()).value?.[0]?.value;
    done = record !== null && record !== undefined && is(record as T);
  }
  await watcher.cancel();
}

/** What is still due. */
async function kindsDue(bench: Bench): Promise<unknown[]> {
  return (await Array.fromAsync(bench.edge.store.kv.list({ prefix: ["due"] }))).map((entry) => entry.key[2]);
}

testBoth("a run goes through all of its steps by itself", {}, async (bench) => {
  const run = await bench.run();
  await bench.complete(run);
  assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
});

const SHORT = {
  env: {
    PROMPT_WAIT_TIMEOUT_MS: "1000",
    KEPT_WORKSPACE_TTL_MS: "1000",
    WORKSPACE_STOP_TIMEOUT_MS: "1000",
    NODE_WARM_TIMEOUT_MS: "1000",
  },
};

testBoth("deadline, kept checkout, missing confirmation and expiry each come at their time", SHORT, async (bench) => {
  const run = await bench.run();
  await bench.endTurn(run, { stopReason: "cancelled" });
  await bench.until(run, ({ status }) => status === "cancelled");
  await until<{ status: string }>(bench, workspaceKey(run.runtime.workspaceId), ({ status }) => status === "stopping");
  await until<{ status: string }>(bench, workspaceKey(run.runtime.workspaceId), ({ status }) => status === "stopped");
  await until<{ status: string }>(bench, nodeKey(run.runtime.nodeId), ({ status }) => status === "destroyed");
  await bench.settle();
  assertEquals(await kindsDue(bench), []);
});

testBoth("an item whose handler throws comes back after a minute", { still: true }, async (bench) => {
  const { provider } = bench.test;
  const create = provider.create.bind(provider);
  let calls = 0;
  provider.create = (spec) => ++calls === 1 ? Promise.reject(new Error("a bug")) : create(spec);
  const task = await bench.submit();
  await bench.settle();
  assertEquals([(await bench.task(task)).status, calls], ["queued", 1]);
  assert(bench.test.log.some((line) => line.event === "due_item_failed" && line.reason === "a bug"));
  await bench.pass(30_000);
  assertEquals(calls, 1);
  await bench.pass(30_001);
  assertEquals(calls, 2);
  assertEquals((await bench.begin(task)).runtime.taskId, task.taskId);
});

Deno.test("what another worker has taken and never finished comes back after a minute", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  const [item] = await listDue(bench.edge.store, bench.edge.clock(), 1);
  assert(await takeDue(bench.edge.store, item!, bench.edge.clock()));
  await bench.settle();
  assertEquals((await bench.task(task)).nodeId, null);
  await bench.pass(60_001);
  assert((await bench.task(task)).nodeId !== null);
});

Deno.test("two loops, each with its own handle on one file, do nothing twice", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-kv-" });
  const path = join(directory, "hearth.kv");
  try {
    await using bench = await startBench({ still: true, env: { HEARTH_KV: path } });
    const nodes = await addDestroying(bench, 40);
    const asked = new Map<string, number>();
    bench.test.provider.destroy = async (ref) => {
      asked.set(ref, (asked.get(ref) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 2));
    };
    const store = await openStore(path);
    try {
      await using other = new DueLoop({ ...bench.edge, store }, { queues: false });
      while ((await kindsDue(bench)).length > 0) {
        bench.test.loop.ring();
        other.ring();
        await Promise.all([bench.test.loop.settled(), other.settled()]);
        // What the busy store refused comes back after a minute.
        bench.test.skewMs += 60_001;
      }
    } finally {
      store.close();
    }
    const refused = bench.test.log.filter((line) => line.event === "due_item_failed").map((line) => line.id);
    for (const { id, providerRef } of nodes) {
      const again = refused.filter((other) => other === id).length;
      assert(asked.get(providerRef!)! <= 1 + again, `${asked.get(providerRef!)} times, ${again} of them refused`);
    }
    for (const node of nodes) assertEquals((await bench.node(node.id)).status, "destroyed");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a ring while the loop reads when to look next is not lost", async () => {
  await using bench = await startBench({ still: true });
  const { store } = bench.edge;
  let added = false;
  // Something becomes due after the look for the next time has read, and before the loop has ended.
  using _ = interceptLists(store, async (selector) => {
    if (added || !("prefix" in selector) || selector.prefix.join() !== "due") return;
    added = true;
    await store.kv.set(["due", bench.edge.clock(), "purge", "task/none/none"], { token: "late" });
    bench.test.loop.ring();
  });
  await bench.settle();
  assertEquals([added, await kindsDue(bench)], [true, []]);
});

Deno.test("after the store failed the loop looks again by itself", async () => {
  await using bench = await startBench({ still: true });
  const task = await bench.submit();
  const away = interceptLists(bench.edge.store, () => Promise.reject(new Error("the store is away")));
  await bench.settle();
  assert(bench.test.log.some((line) => line.event === "due_loop_failed"));
  away[Symbol.dispose]();
  await bench.until(task, ({ nodeId }) => nodeId !== null);
});

Deno.test("due keys whose record is gone or wants something else do no harm and go", async () => {
  await using bench = await startBench({ still: true });
  const run = await bench.run();
  const [task, workspace, node] = [
    await bench.task(run),
    await bench.workspace(run.runtime.workspaceId),
    await bench.node(run.runtime.nodeId),
  ];
  const gone = crypto.randomUUID();
  for (const id of [`${run.projectId}/${run.taskId}`, `${gone}/${gone}`]) {
    for (const kind of ["task.advance", "task.deadline"]) {
      await bench.edge.store.kv.set(["due", 1, kind, id], { token: "old" });
    }
  }
  for (const kind of ["workspace.release", "workspace.keptUntil"]) {
    for (const id of [workspace.id, gone]) await bench.edge.store.kv.set(["due", 1, kind, id], { token: "old" });
  }
  for (const kind of ["node.warmExpiry", "node.delete"]) {
    for (const id of [node.id, gone]) await bench.edge.store.kv.set(["due", 1, kind, id], { token: "old" });
  }
  await bench.settle();
  assertEquals(await bench.task(run), task);
  assertEquals(await bench.workspace(workspace.id), workspace);
  assertEquals(await bench.node(node.id), node);
  assertEquals(await listDue(bench.edge.store, bench.edge.clock(), 10), []);
  assertEquals(bench.test.log.filter((line) => line.level === "error"), []);
});

/** Nodes on their way out. */
async function addDestroying(bench: Bench, count: number) {
  const nodes = Array.from({ length: count }, () => nodeRecord({ id: crypto.randomUUID() }));
  for (const node of nodes) {
    await change(bench.edge.store, async (tx) => {
      putDestroying(tx, await tx.get(nodeKey(node.id)) as Deno.KvEntry<typeof node>, node, null);
    }, bench.edge.clock);
  }
  return nodes;
}

testBoth("machines that a provider takes long to delete hold up no task", {}, async (bench) => {
  const [began, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  using _ = { [Symbol.dispose]: () => go.resolve() };
  bench.test.provider.destroy = async () => {
    began.resolve();
    await go.promise;
  };
  const nodes = await addDestroying(bench, 3);
  await within("a deletion to begin", began.promise);
  const task = await bench.submit();
  await within("the task's machine", bench.until(task, ({ status }) => status === "delegated"), { maxMs: 60_000 });
  for (const { id } of nodes) assertEquals((await bench.node(id)).status, "destroying");
  go.resolve();
  await bench.settle();
  for (const { id } of nodes) assertEquals((await bench.node(id)).status, "destroyed");
});

Deno.test("an item that takes longer than its lease is not done twice at once, and is done", async () => {
  await using bench = await startBench({ still: true });
  const [began, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  using _ = { [Symbol.dispose]: () => go.resolve() };
  const asked: string[] = [];
  const [slow] = await addDestroying(bench, 1);
  bench.test.provider.destroy = async (ref) => {
    asked.push(ref);
    if (ref !== slow!.providerRef) return;
    began.resolve();
    await go.promise;
  };
  bench.test.loop.ring();
  await within("the slow deletion to begin", began.promise);
  bench.test.skewMs += 60_001;
  const [quick] = await addDestroying(bench, 1);
  bench.test.loop.ring();
  // It became due after the slow one, whose lease is over.
  await until<{ status: string }>(bench, nodeKey(quick!.id), ({ status }) => status === "destroyed");
  go.resolve();
  await bench.settle();
  await bench.pass(60_001);
  assertEquals(asked, [slow!.providerRef, quick!.providerRef]);
  assertEquals([(await bench.node(slow!.id)).status, await kindsDue(bench)], ["destroyed", []]);
});

Deno.test("the expiry of a warm node comes at its time although its edge ended before", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-kv-" });
  const kept = { HEARTH_KV: join(directory, "hearth.kv"), ENCRYPTION_KEY: newSealKey() };
  const env = { ...kept, NODE_WARM_TIMEOUT_MS: "1000" };
  try {
    const nodeId = await (async () => {
      await using bench = await startBench({ env, queues: true, still: true });
      const run = await bench.run();
      await bench.complete(run);
      assertEquals(await bench.states(run), ["completed", "stopped", "warm 0", "stopped"]);
      return run.runtime.nodeId;
    })();
    await using next = await startBench({ env, queues: true });
    const destroyed = until<{ status: string }>(next, nodeKey(nodeId), ({ status }) => status === "destroyed");
    await within("the node to go", destroyed, { maxMs: 60_000 });
    assertEquals(next.test.provider.destroyed, [nodeId]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a loop that ends finishes what it does and begins nothing more", async () => {
  await using bench = await startBench({ still: true });
  const [began, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const asked: string[] = [];
  bench.test.provider.destroy = async (ref) => {
    asked.push(ref);
    began.resolve();
    await go.promise;
  };
  const nodes = await addDestroying(bench, 20);
  bench.test.loop.ring();
  await began.promise;
  const ended = bench.test.loop[Symbol.asyncDispose]();
  go.resolve();
  await ended;
  const done = asked.length;
  assert(done <= 8);
  const states = await Promise.all(nodes.map(async ({ id }) => (await bench.node(id)).status));
  assertEquals(states.filter((status) => status === "destroyed").length, done);
  await change(bench.edge.store, (tx) => {
    scheduleLoose(tx, { kind: "purge", id: "task/none/none", at: tx.now });
    return Promise.resolve();
  });
  bench.test.loop.ring();
  await bench.test.loop.settled();
  assertEquals(asked.length, done);
});
