/** What lies in the store, kept beside it from the commits that were applied, so that looking costs nothing. */

export interface Mutation {
  key: Deno.KvKey;
  /** Undefined: deleted. */
  value: unknown;
}

/** What one commit changed of one key. */
export interface Changed {
  key: Deno.KvKey;
  before: unknown;
  after: unknown;
}

/** Families without a part in any rule: news, counters and what was there at the start. */
const IGNORED = new Set(["feed", "head", "window", "meta", "user", "userByLogin", "enrolment", "idem", "credential"]);

export class Mirror {
  readonly #families = new Map<string, Map<string, Mutation>>();

  /** Takes in the mutations of a commit; later ones of a key win. Returns what they changed. */
  apply(mutations: Mutation[]): Changed[] {
    const changed = new Map<string, Changed>();
    for (const { key, value } of mutations) {
      const family = String(key[0]);
      if (IGNORED.has(family)) continue;
      const entries = this.#family(family);
      const name = nameOf(key);
      const before = changed.get(name)?.before ?? entries.get(name)?.value;
      changed.set(name, { key, before, after: value });
      if (value === undefined) entries.delete(name);
      else entries.set(name, { key, value });
    }
    return [...changed.values()];
  }

  get<T>(key: Deno.KvKey): T | undefined {
    return this.#families.get(String(key[0]))?.get(nameOf(key))?.value as T | undefined;
  }

  has(key: Deno.KvKey): boolean {
    return this.#families.get(String(key[0]))?.has(nameOf(key)) ?? false;
  }

  /** The values of a family, in the order in which their keys were written first. */
  values<T>(family: string): T[] {
    return [...this.#family(family).values()].map((entry) => entry.value as T);
  }

  keys(family: string): Deno.KvKey[] {
    return [...this.#family(family).values()].map((entry) => entry.key);
  }

  /** Every key that it holds, as text. */
  names(): string[] {
    return [...this.#families.values()].flatMap((entries) => [...entries.keys()]).sort();
  }

  #family(name: string): Map<string, Mutation> {
    const known = this.#families.get(name);
    if (known) return known;
    const made = new Map<string, Mutation>();
    this.#families.set(name, made);
    return made;
  }
}

/** The keys of the real store that a mirror would hold. */
export async function namesInStore(kv: Deno.Kv): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of kv.list({ prefix: [] })) {
    if (!IGNORED.has(String(entry.key[0]))) names.push(nameOf(entry.key));
  }
  return names.sort();
}

function nameOf(key: Deno.KvKey): string {
  return key.join("\0");
}
