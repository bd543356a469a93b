/** Who wants to hear of a change inside this process, and who waits until something has become empty. */

export class Listeners<T> {
  #all = new Set<(value: T) => void>();

  /** Answers the function that ends the listening. */
  add(listener: (value: T) => void): () => void {
    this.#all.add(listener);
    return () => {
      this.#all.delete(listener);
    };
  }

  call(value: T): void {
    for (const listener of [...this.#all]) listener(value);
  }
}

/** Promises that wait for the same thing to happen to a key. */
export class Waiters {
  #byKey = new Map<string, Set<() => void>>();

  /** Resolves at the next `wake(key)`; rejects with the signal's reason when that aborts first. */
  wait(key: string, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = this.#byKey.get(key) ?? new Set();
    this.#byKey.set(key, waiting);
    waiting.add(resolve);
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort);
    return promise.finally(() => {
      signal?.removeEventListener("abort", abort);
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#byKey.get(key) === waiting) this.#byKey.delete(key);
    });
  }

  wake(key: string): void {
    const waiting = this.#byKey.get(key);
    this.#byKey.delete(key);
    for (const resolve of waiting ?? []) resolve();
  }
}
