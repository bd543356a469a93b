/**
 * A handle on the real store for one operation: every read and every commit is a step of its own, and may fail as a
 * store does: refused, unreachable, or applied with its answer lost.
 */
import type { Fiber, Fibers } from "./fibers.ts";
import type { Changed, Mirror, Mutation } from "./mirror.ts";

export type KvFault = "unreachable" | "locked" | "answer_lost" | "told_twice" | null;

export interface KvParts {
  kv: Deno.Kv;
  fibers: Fibers;
  mirror: Mirror;
  /** Which fault the next operation meets. */
  fault: (kind: "read" | "commit") => KvFault;
  onRead: (fiber: Fiber, text: string) => void;
  onCommit: (fiber: Fiber, changed: Changed[], note: string) => void;
}

export class StoreFault extends TypeError {
  override name = "StoreFault";
}

/** The handle of `fiber`. */
export function simulateKv(parts: KvParts, fiber: Fiber): Deno.Kv {
  const { kv } = parts;
  const read = <T>(text: string, act: () => Promise<T>) =>
    parts.fibers.park(fiber, `read ${text}`, async () => {
      if (parts.fault("read")) {
        fiber.readsFailed++;
        fail(fiber, "the store was unreachable");
      }
      parts.onRead(fiber, text);
      return await act();
    });
  const replaced: Partial<Deno.Kv> = {
    get: ((key: Deno.KvKey) => read(key.join("/"), () => kv.get(key))) as Deno.Kv["get"],
    getMany:
      ((keys: Deno.KvKey[]) => read(keys.map((key) => key.join("/")).join(" "), () => kv.getMany(keys))) as Deno.Kv[
        "getMany"
      ],
    list: ((selector: Deno.KvListSelector, options?: Deno.KvListOptions) =>
      listed(() => {
        const text = "prefix" in selector ? selector.prefix.join("/") : `${selector.start.join("/")}…`;
        return read(`${text}/*`, () => Array.fromAsync(kv.list(selector, options)));
      })) as unknown as Deno.Kv["list"],
    atomic: () => new SimOperation(parts, fiber) as unknown as Deno.AtomicOperation,
    set: (key, value, options) =>
      new SimOperation(parts, fiber).set(key, value, options).commit() as Promise<Committed>,
    delete: async (key) => void await new SimOperation(parts, fiber).delete(key).commit(),
  };
  return new Proxy(kv, {
    get: (_, name) => {
      if (name in replaced) return Reflect.get(replaced, name);
      const found: unknown = Reflect.get(kv, name);
      return typeof found === "function" ? found.bind(kv) : found;
    },
  });
}

type Committed = Deno.KvCommitResult;

/** Entries come when they are asked for, all from one look: nothing between them can be interrupted. */
async function* listed(look: () => Promise<Deno.KvEntry<unknown>[]>): AsyncGenerator<Deno.KvEntry<unknown>> {
  yield* await look();
}

class SimOperation {
  readonly #parts: KvParts;
  readonly #fiber: Fiber;
  readonly #op: Deno.AtomicOperation;
  readonly #mutations: Mutation[] = [];

  constructor(parts: KvParts, fiber: Fiber) {
    this.#parts = parts;
    this.#fiber = fiber;
    this.#op = parts.kv.atomic();
  }

  check(...checks: Deno.AtomicCheck[]): this {
    this.#op.check(...checks);
    return this;
  }

  set(key: Deno.KvKey, value: unknown, options?: { expireIn?: number }): this {
    this.#op.set(key, value, options);
    this.#mutations.push({ key, value });
    return this;
  }

  delete(key: Deno.KvKey): this {
    this.#op.delete(key);
    this.#mutations.push({ key, value: undefined });
    return this;
  }

  sum(key: Deno.KvKey, by: bigint): this {
    this.#op.sum(key, by);
    return this;
  }

  commit(): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    return this.#parts.fibers.park(this.#fiber, "commit", () => this.#commit());
  }

  async #commit(): Promise<Deno.KvCommitResult | Deno.KvCommitError> {
    const { fault, mirror, onCommit } = this.#parts;
    const met = fault("commit");
    if (met === "unreachable") fail(this.#fiber, "the store was unreachable");
    if (met === "locked") fail(this.#fiber, "database is locked");
    const result = await this.#op.commit();
    if (!result.ok) {
      onCommit(this.#fiber, [], "lost its check");
      return result;
    }
    onCommit(this.#fiber, mirror.apply(this.#mutations), met ?? "");
    if (met === "answer_lost") fail(this.#fiber, "the answer of the commit was lost");
    if (met === "told_twice") this.#fiber.injected.push("the commit came twice");
    return met === "told_twice" ? { ok: false } : result;
  }
}

function fail(fiber: Fiber, message: string): never {
  fiber.injected.push(message);
  throw new StoreFault(message);
}
