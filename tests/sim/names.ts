/** Short names for ids, in the order in which they came, so that a trace of a seed reads the same each time. */

const LETTERS: Record<string, string> = { task: "T", node: "N", workspace: "W", session: "S", prompt: "P" };
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

export class Names {
  readonly #known = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  of(family: string, id: string): string {
    const known = this.#known.get(id);
    if (known) return known;
    const count = (this.#counts.get(family) ?? 0) + 1;
    this.#counts.set(family, count);
    const name = `${LETTERS[family] ?? family}${count}`;
    this.#known.set(id, name);
    return name;
  }

  /** `text` with every id that has a name by that name, and every other cut short. */
  shorten(text: string): string {
    return text.replaceAll(UUID, (id) => this.#known.get(id) ?? `…${id.slice(-4)}`);
  }
}
