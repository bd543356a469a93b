/** A store that refuses certain commits as one that is locked does: nothing of them is applied. */
import type { Store } from "../../lib/store/store.ts";

/**
 * From now on commits that set a key for which `isMeant` holds are refused, at most `times` of them, until the answer
 * is disposed of.
 */
export function failCommits(
  store: Store,
  isMeant: (key: Deno.KvKey, value: unknown) => boolean,
  times = Infinity,
): Disposable & { refused: number } {
  const real = store.kv;
  const failing = { refused: 0, [Symbol.dispose]: () => void (store.kv = real) };
  store.kv = new Proxy(real, {
    get(kv, name) {
      if (name !== "atomic") return bound(kv, name);
      return () => watched(kv.atomic(), isMeant, () => failing.refused < times && ++failing.refused > 0);
    },
  });
  return failing;
}

function watched(
  op: Deno.AtomicOperation,
  isMeant: (key: Deno.KvKey, value: unknown) => boolean,
  refuse: () => boolean,
): Deno.AtomicOperation {
  let meant = false;
  const proxy: Deno.AtomicOperation = new Proxy(op, {
    get(target, name) {
      if (name === "commit") {
        return () => meant && refuse() ? Promise.reject(new TypeError("database is locked")) : target.commit();
      }
      return (...args: unknown[]) => {
        if (name === "set" && isMeant(args[0] as Deno.KvKey, args[1])) meant = true;
        const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        return method.apply(target, args) === target ? proxy : undefined;
      };
    },
  });
  return proxy;
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name);
  return typeof value === "function" ? value.bind(target) : value;
}
