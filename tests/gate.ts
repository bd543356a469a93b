/** Holds a coding agent back until the test lets it go on: what a test does meanwhile has all the time that it takes. */
import { join } from "node:path";

export class Gate implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async make(): Promise<Gate> {
    const folder = await Deno.makeTempDir({ prefix: "hearth-gate-" });
    // The coding agent may run as a user of its own.
    await Deno.chmod(folder, 0o755);
    return new Gate(folder);
  }

  /** A shell command that lasts until the gate is open. */
  get wait(): string {
    return `until [ -e ${join(this.#folder, "open")} ]; do sleep 0.05; done`;
  }

  async open(): Promise<void> {
    await Deno.writeTextFile(join(this.#folder, "open"), "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#folder, { recursive: true });
  }
}
