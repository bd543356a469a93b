/** The newest lines of a stream that is always drained: what a process said last, for telling why it ended. */
const KEPT_CHARS = 2_000;
const SHOWN_LINES = 5;

export class LastLines implements AsyncDisposable {
  readonly #done: Promise<void>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #text = "";

  constructor(stream: ReadableStream<Uint8Array>, onOutput: () => void = () => {}) {
    this.#reader = stream.getReader();
    this.#done = this.#drain(onOutput);
  }

  /** The last lines that hold something. */
  get text(): string {
    return this.#text.split("\n").map((line) => line.trim()).filter((line) => line !== "").slice(-SHOWN_LINES).join(
      "\n",
    );
  }

  /** Resolves when the stream has ended, so that nothing more can come. */
  async whenEnded(): Promise<void> {
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel().catch(() => {});
    await this.#done;
  }

  async #drain(onOutput: () => void): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for (let read = await this.#reader.read(); !read.done; read = await this.#reader.read()) {
        this.#text = (this.#text + decoder.decode(read.value, { stream: true })).slice(-KEPT_CHARS);
        onOutput();
      }
    } catch {
      // The process ended in the middle of a read.
    }
  }
}
