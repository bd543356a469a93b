/** A signal that can be given again and again. Who took it before looking misses nothing that comes after the look. */
export class Latch {
  #controller = new AbortController();

  /** Aborts at the next `open`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  open(): void {
    const given = this.#controller;
    this.#controller = new AbortController();
    given.abort();
  }
}

/** Resolves when `signal` has aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
