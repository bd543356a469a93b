/**
 * Paces text on its way to a reader: each piece at once while there are at most 50 a second, combined above that.
 * Nothing is held for longer than the next slot, and the order stays.
 */
const PER_SECOND = 50;
const BURST = 10;
const SLOT_MS = 1_000 / PER_SECOND;

export class DeltaPacer {
  readonly #emit: (text: string) => void;
  #held = "";
  #slots = BURST;
  #refilledAtMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | null = null;

  constructor(emit: (text: string) => void) {
    this.#emit = emit;
  }

  push(text: string): void {
    this.#held += text;
    this.#refill();
    if (this.#slots >= 1) this.#send();
    else this.#timer ??= setTimeout(() => this.flush(), SLOT_MS * (1 - this.#slots));
  }

  /** Emits what is held: before anything else that has a place in the order. */
  flush(): void {
    this.#refill();
    this.#send();
  }

  #send(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#held === "") return;
    const text = this.#held;
    this.#held = "";
    this.#slots = Math.max(0, this.#slots - 1);
    this.#emit(text);
  }

  #refill(): void {
    const now = performance.now();
    this.#slots = Math.min(BURST, this.#slots + (now - this.#refilledAtMs) / SLOT_MS);
    this.#refilledAtMs = now;
  }
}
