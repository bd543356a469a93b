/** Due keys over a real store: taken by one, back after a crash, never lost to a neighbour at the same time. */
import { assertEquals } from "@std/assert";
import { change, type Dues, type Versioned } from "../../../lib/store/change.ts";
import {
  DUE_LEASE_MS,
  isWanted,
  listDue,
  nextDueAt,
  scheduleLoose,
  settleDue,
  takeDue,
} from "../../../lib/store/due.ts";
import { dueKey } from "../../../lib/store/keys.ts";
import type { Store } from "../../../lib/store/store.ts";
import { withStore } from "./fixture.ts";

interface Thing extends Versioned {
  dues: Dues;
}

const KEY = ["thing"];

/** Makes the thing due at `at`, or not at all. */
async function schedule(store: Store, at: number | null): Promise<void> {
  await change(store, async (tx) => {
    const entry = await tx.get<Thing>(KEY);
    const dues = tx.schedule(entry.value?.dues ?? {}, { kind: "node.warmExpiry", id: "n", at });
    tx.put(entry, { v: 1, dues });
  });
}

async function readDues(store: Store): Promise<Dues> {
  return (await store.kv.get<Thing>(KEY)).value!.dues;
}

async function dueTimes(store: Store): Promise<unknown[]> {
  return (await Array.fromAsync(store.kv.list({ prefix: ["due"] }))).map((entry) => entry.key[1]);
}

Deno.test("an item is due at its time and not before, the oldest first", () =>
  withStore(async (store) => {
    await change(store, (tx) => {
      [300, 100, 200].forEach((at) => scheduleLoose(tx, { kind: "purge", id: `${at}`, at }));
      return Promise.resolve();
    });
    assertEquals(await listDue(store, 99, 10), []);
    assertEquals((await listDue(store, 200, 10)).map((item) => item.id), ["100", "200"]);
    assertEquals((await listDue(store, 300, 2)).map((item) => item.id), ["100", "200"]);
    assertEquals(await nextDueAt(store), 100);
  }));

Deno.test("a later time moves the key, and none removes it", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    await schedule(store, 500);
    assertEquals(await dueTimes(store), [500]);
    assertEquals((await readDues(store))["node.warmExpiry"]?.at, 500);
    await schedule(store, null);
    assertEquals([await dueTimes(store), await readDues(store)], [[], {}]);
  }));

Deno.test("of twenty who take an item at once one has it, for a minute", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    const [item] = await listDue(store, 100, 1);
    const taken = await Promise.all(Array.from({ length: 20 }, () => takeDue(store, item!, 1_000)));
    assertEquals(taken.filter((each) => each !== null).length, 1);
    assertEquals(await listDue(store, 1_000 + DUE_LEASE_MS - 1, 10), []);
  }));

Deno.test("an item whose worker died comes back by itself and is still wanted", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    const [item] = await listDue(store, 100, 1);
    await takeDue(store, item!, 1_000);
    const [back] = await listDue(store, 1_000 + DUE_LEASE_MS, 10);
    assertEquals([back!.kind, back!.id, isWanted(await readDues(store), back!)], ["node.warmExpiry", "n", true]);
    const taken = await takeDue(store, back!, 1_000 + DUE_LEASE_MS);
    await settleDue(store, taken!);
    assertEquals(await dueTimes(store), []);
  }));

Deno.test("an item of an earlier plan is not wanted any more", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    const [item] = await listDue(store, 100, 1);
    const taken = await takeDue(store, item!, 200);
    await schedule(store, 5_000);
    assertEquals(isWanted(await readDues(store), taken!), false);
    await settleDue(store, taken!);
    assertEquals(await dueTimes(store), [5_000]);
  }));

Deno.test("what the handler makes due at the very time of its lease outlives the item", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    const [item] = await listDue(store, 100, 1);
    const taken = await takeDue(store, item!, 200);
    await schedule(store, 200 + DUE_LEASE_MS);
    await settleDue(store, taken!);
    assertEquals(await dueTimes(store), [200 + DUE_LEASE_MS]);
    const [next] = await listDue(store, 200 + DUE_LEASE_MS, 1);
    assertEquals(isWanted(await readDues(store), next!), true);
  }));

Deno.test("taking an item never covers another plan for the same thing at the same time", () =>
  withStore(async (store) => {
    await change(store, (tx) => Promise.resolve(scheduleLoose(tx, { kind: "node.warmExpiry", id: "n", at: 100 })));
    await schedule(store, 200 + DUE_LEASE_MS);
    const [loose] = await listDue(store, 100, 1);
    assertEquals(await takeDue(store, loose!, 200), null);
    const planned = await store.kv.get<{ token: string }>(dueKey(200 + DUE_LEASE_MS, "node.warmExpiry", "n"));
    assertEquals(planned.value?.token, (await readDues(store))["node.warmExpiry"]?.token);
    assertEquals((await takeDue(store, loose!, 201))?.token, loose!.token);
  }));

Deno.test("500 items, 4 workers, every tenth crashes: all are done, none by two at once", () =>
  withStore(async (store) => {
    await change(store, (tx) => {
      for (let i = 0; i < 500; i++) scheduleLoose(tx, { kind: "purge", id: `${i}`, at: i });
      return Promise.resolve();
    });
    const done = new Map<string, number>();
    const held = new Set<string>();
    let [now, taken] = [1_000, 0];
    while (await nextDueAt(store) !== null) {
      const work = async () => {
        for (const item of await listDue(store, now, 50)) {
          const mine = await takeDue(store, item, now);
          if (!mine) continue;
          assertEquals(held.has(mine.id), false);
          held.add(mine.id);
          const crashes = taken++ % 10 === 0;
          if (!crashes) {
            done.set(mine.id, (done.get(mine.id) ?? 0) + 1);
            await settleDue(store, mine);
          }
          held.delete(mine.id);
        }
      };
      await Promise.all([work(), work(), work(), work()]);
      if ((await listDue(store, now, 1)).length === 0) now += DUE_LEASE_MS;
    }
    assertEquals([done.size, [...done.values()].every((times) => times === 1)], [500, true]);
  }));

Deno.test("an item that was made due anew at the same time since the look is taken as it is now", () =>
  withStore(async (store) => {
    await schedule(store, 100);
    const [seen] = await listDue(store, 100, 10);
    await schedule(store, 100);
    const taken = await takeDue(store, seen!, 100);
    assertEquals(isWanted(await readDues(store), taken!), true);
  }));
