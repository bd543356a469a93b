/** The read-decide-commit loop, over a real store that is made to fail. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "../../../lib/errors.ts";
import { change, type Versioned } from "../../../lib/store/change.ts";
import type { Store } from "../../../lib/store/store.ts";
import { dumpStore, type OnCommit, watchCommits } from "../../fakes/faulty_kv.ts";
import { withStore } from "./fixture.ts";

interface Counter extends Versioned {
  count: number;
}

const KEY = ["counter"];

/** Adds one to a counter and appends a note of its own, as an attempt that reads what it then writes. */
async function count(store: Store, options: { onAttempt?: () => Promise<void> } = {}): Promise<number> {
  const note = crypto.randomUUID();
  return await change(store, async (tx) => {
    const entry = await tx.get<Counter>(KEY);
    await options.onAttempt?.();
    const next = (entry.value?.count ?? 0) + 1;
    tx.put(entry, { v: 1, count: next }).set(["note", note], next).announce("p:x", ["task", note]);
    return next;
  });
}

async function readCount(store: Store): Promise<number> {
  return (await store.kv.get<Counter>(KEY)).value?.count ?? 0;
}

async function size(store: Store, prefix: Deno.KvKey): Promise<number> {
  return (await Array.fromAsync(store.kv.list({ prefix }))).length;
}

/** Fails the first commits as `how` says. */
function failFirst(store: Store, times: number, how: OnCommit): void {
  let left = times;
  store.kv = watchCommits(store.kv, (seen) => left-- > 0 ? how(seen) : seen.commit());
}

Deno.test("a lost check runs the attempt again with what is there now", () =>
  withStore(async (store) => {
    let attempts = 0;
    const result = await count(store, {
      onAttempt: async () => {
        if (++attempts === 1) await count({ ...store, onAnnounce: () => {} });
      },
    });
    assertEquals([attempts, result, await readCount(store)], [2, 2, 2]);
    assertEquals([await size(store, ["note"]), await size(store, ["feed", "p:x"])], [2, 2]);
  }));

Deno.test("four writers at once on one record: none is lost and none counts twice", () =>
  withStore(async (store) => {
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 4 }, () => count(store)));
    }
    assertEquals([await readCount(store), await size(store, ["note"])], [40, 40]);
  }));

Deno.test("a store that always has another writer first is busy, and nothing of the attempt is written", () =>
  withStore(async (store) => {
    const before = await dumpStore(store.kv);
    failFirst(store, Infinity, () => Promise.resolve({ ok: false }));
    const error = await assertRejects(() => count(store), AppError) as AppError;
    assertEquals([error.code, error.status, error.retryAfterSeconds], ["store_busy", 503, 1]);
    assertEquals(await dumpStore(store.kv), before);
  }));

Deno.test("a locked database counts as a lost check", () =>
  withStore(async (store) => {
    failFirst(store, 3, () => Promise.reject(new TypeError("database is locked")));
    assertEquals([await count(store), await readCount(store)], [1, 1]);
  }));

Deno.test("a commit whose answer was lost is not done twice", () =>
  withStore(async (store) => {
    failFirst(store, 1, async ({ commit }) => {
      await commit();
      return { ok: false };
    });
    assertEquals([await count(store), await readCount(store), await size(store, ["note"])], [1, 1, 1]);
  }));

Deno.test("a commit that landed and then threw is not done twice, and its caller is told of its result", () =>
  withStore(async (store) => {
    failFirst(store, 1, async ({ commit }) => {
      await commit();
      throw new TypeError("connection reset");
    });
    assertEquals([await count(store), await readCount(store), await size(store, ["note"])], [1, 1, 1]);
  }));

Deno.test("a lost answer is seen by any of the records written, also when another writer changed the first since", () =>
  withStore(async (store) => {
    const [a, b] = [["a"], ["b"]];
    let attempts = 0;
    failFirst(store, 1, async ({ commit }) => {
      await commit();
      await store.kv.set(a, { v: 1, count: 100 });
      return { ok: false };
    });
    await change(store, async (tx) => {
      attempts++;
      for (const key of [a, b]) tx.put(await tx.get<Counter>(key), { v: 1, count: attempts });
    });
    assertEquals([attempts, (await store.kv.get<Counter>(a)).value?.count], [1, 100]);
  }));

Deno.test("what an attempt throws reaches the caller, and nothing is written", () =>
  withStore(async (store) => {
    const before = await dumpStore(store.kv);
    await assertRejects(
      () =>
        change(store, async (tx) => {
          tx.put(await tx.get<Counter>(KEY), { v: 1, count: 1 });
          throw new AppError("conflict", "no");
        }),
      AppError,
      "no",
    );
    assertEquals(await dumpStore(store.kv), before);
  }));

Deno.test("a refusal that rests on what has changed meanwhile is decided again", () =>
  withStore(async (store) => {
    let attempts = 0;
    const result = await change(store, async (tx) => {
      const entry = await tx.get<Counter>(KEY);
      tx.check(entry);
      if (entry.value) return entry.value.count;
      if (++attempts === 1) await count(store);
      throw new AppError("name_taken", "somebody else was first");
    });
    assertEquals([attempts, result], [1, 1]);
    const refused = await assertRejects(
      () =>
        change(store, async (tx) => {
          tx.check(await tx.get<Counter>(KEY));
          throw new AppError("name_taken", "still taken");
        }),
      AppError,
    ) as AppError;
    assertEquals(refused.code, "name_taken");
  }));

Deno.test("a store that never answers is busy within its patience", () =>
  withStore(async (store) => {
    store.patienceMs = 50;
    const hanging = Promise.withResolvers<Deno.KvCommitError>();
    failFirst(store, Infinity, () => hanging.promise);
    const error = await assertRejects(() => count(store), AppError) as AppError;
    assertEquals(error.code, "store_busy");
    hanging.resolve({ ok: false });
    assertEquals(await readCount(store), 0);
  }));

Deno.test("a change that writes nothing commits nothing", () =>
  withStore(async (store) => {
    failFirst(store, Infinity, () => Promise.reject(new Error("no commit was wanted")));
    assertEquals(await change(store, (tx) => Promise.resolve(tx.now > 0)), true);
  }));

Deno.test("a store that refuses a commit with an error is told as busy, and what it said stays inside", () =>
  withStore(async (store) => {
    failFirst(store, 1, () => Promise.reject(new TypeError("disk I/O error")));
    const error = await assertRejects(() => count(store), AppError) as AppError;
    assertEquals([error.code, error.message.includes("disk"), await readCount(store)], ["store_busy", false, 0]);
    assertEquals((error.cause as Error).message, "disk I/O error");
  }));

Deno.test("the hints of a change come after its commit, and only then", () =>
  withStore(async (store) => {
    const told: unknown[] = [];
    store.onAnnounce = (topics) => told.push(topics);
    store.onDue = (at) => told.push(at);
    const due = { kind: "purge" as const, id: "x", at: 7 };
    await change(store, async (tx) => {
      assertEquals(told, []);
      const dues = tx.schedule({}, due);
      tx.put(await tx.get<Counter & { dues: unknown }>(KEY), { v: 1, count: 1, dues }).announce("p:x", ["task", "t"]);
    });
    assertEquals(told, [["p:x"], 7]);
    failFirst(store, Infinity, () => Promise.resolve({ ok: false }));
    await assertRejects(() => count(store), AppError);
    assertEquals(told.length, 2);
    assert(await store.kv.get(["due", 7, "purge", "x"]));
  }));
