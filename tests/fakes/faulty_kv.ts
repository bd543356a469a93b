/** A store that fails where a test says so: a handle around the real one that sees each commit with its keys. */

/** What a commit is about to change. */
export interface SeenCommit {
  /** Keys that are written or deleted. */
  keys: Deno.KvKey[];
  /** Carries it out. */
  commit: () => Promise<Deno.KvCommitResult | Deno.KvCommitError>;
}

export type OnCommit = (seen: SeenCommit) => Promise<Deno.KvCommitResult | Deno.KvCommitError>;

/** A handle on `kv` whose atomic commits go through `onCommit`. */
export function watchCommits(kv: Deno.Kv, onCommit: OnCommit): Deno.Kv {
  return bindAll(kv, { atomic: () => watchOperation(kv.atomic(), onCommit) });
}

/** A handle on `kv` that tells of each key that is read and each prefix or start that is listed. */
export function watchReads(kv: Deno.Kv, onRead: (key: Deno.KvKey) => void): Deno.Kv {
  return bindAll(kv, {
    get: (key: Deno.KvKey, options?: { consistency?: Deno.KvConsistencyLevel }) => {
      onRead(key);
      return kv.get(key, options);
    },
    getMany: (keys: Deno.KvKey[]) => {
      keys.forEach(onRead);
      return kv.getMany(keys);
    },
    list: (selector: Deno.KvListSelector, options?: Deno.KvListOptions) => {
      onRead("prefix" in selector ? selector.prefix : selector.start);
      return kv.list(selector, options);
    },
  });
}

function watchOperation(op: Deno.AtomicOperation, onCommit: OnCommit): Deno.AtomicOperation {
  const keys: Deno.KvKey[] = [];
  const note = (name: "set" | "delete" | "sum") => (...args: unknown[]) => {
    keys.push(args[0] as Deno.KvKey);
    (op[name] as (...args: unknown[]) => unknown)(...args);
    return watched;
  };
  const watched: Deno.AtomicOperation = bindAll(op, {
    set: note("set"),
    delete: note("delete"),
    sum: note("sum"),
    check: (...checks: Deno.AtomicCheck[]) => {
      op.check(...checks);
      return watched;
    },
    commit: () => onCommit({ keys, commit: () => op.commit() }),
  });
  return watched;
}

/** The target with some methods replaced; the others stay bound to it, because it has private fields. */
function bindAll<T extends object>(target: T, replaced: object): T {
  return new Proxy(target, {
    get: (_, name) => {
      const found = Reflect.get(name in replaced ? replaced : target, name);
      return typeof found === "function" && !(name in replaced) ? found.bind(target) : found;
    },
  });
}

/** Every key of a store with the commit that wrote it, but for those whose first part is named. */
export async function dumpStore(kv: Deno.Kv, except: string[] = []): Promise<Record<string, string>> {
  const dump: Record<string, string> = {};
  for await (const entry of kv.list({ prefix: [] })) {
    if (!except.includes(String(entry.key[0]))) dump[JSON.stringify(entry.key)] = entry.versionstamp;
  }
  return dump;
}
