/** A store that refuses certain commits as one that is locked does, or whose lists a test looks into. */
import type { Store } from "../../lib/store/store.ts";

/**
 * From now on commits that set a key for which `isMeant` holds are refused and not applied, until the answer is
 * disposed of.
 */
export function failCommits(
  store: Store,
  isMeant: (key: Deno.KvKey, value: unknown) => boolean,
): Disposable & { refused: number } {
  const failing = { refused: 0, ...replaceMethod(store, "atomic", (kv) => () => watched(kv.atomic())) };
  return failing;

  function watched(op: Deno.AtomicOperation): Deno.AtomicOperation {
    let meant = false;
    const proxy: Deno.AtomicOperation = new Proxy(op, {
      get(target, name) {
        if (name === "commit") return () => meant ? refuse() : target.commit();
        return (...args: unknown[]) => {
          if (name === "set" && isMeant(args[0] as Deno.KvKey, args[1])) meant = true;
          const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
          return method.apply(target, args) === target ? proxy : undefined;
        };
      },
    });
    return proxy;
  }

  function refuse(): Promise<never> {
    failing.refused++;
    return Promise.reject(new TypeError("database is locked"));
  }
}

/** From now on `onRead` is called after a list was read and before its reader sees it, until disposed of. */
export function interceptLists(store: Store, onRead: (selector: Deno.KvListSelector) => Promise<void>): Disposable {
  return replaceMethod(
    store,
    "list",
    (kv) =>
      async function* (selector: Deno.KvListSelector, options?: Deno.KvListOptions) {
        const entries = await Array.fromAsync(kv.list(selector, options));
        await onRead(selector);
        yield* entries;
      },
  );
}

function replaceMethod(store: Store, replaced: string, replacement: (kv: Deno.Kv) => unknown): Disposable {
  const real = store.kv;
  store.kv = new Proxy(real, {
    get(kv, name) {
      if (name === replaced) return replacement(kv);
      const value: unknown = Reflect.get(kv, name);
      return typeof value === "function" ? value.bind(kv) : value;
    },
  });
  return { [Symbol.dispose]: () => void (store.kv = real) };
}

/** The store, but the first read of such a key is overtaken: `act` runs after the read and before its reader sees it. */
export function overtakeRead(store: Store, isMeant: (key: Deno.KvKey) => boolean, act: () => Promise<unknown>): Store {
  let overtaken = false;
  const get = async (key: Deno.KvKey) => {
    const entry = await store.kv.get(key);
    if (!overtaken && isMeant(key)) {
      overtaken = true;
      await act();
    }
    return entry;
  };
  const kv = new Proxy(store.kv, {
    get(real, name) {
      if (name === "get") return get;
      const value: unknown = Reflect.get(real, name);
      return typeof value === "function" ? value.bind(real) : value;
    },
  });
  return { ...store, kv };
}
