/**
 * Skills and commands linked into `<folder>/.claude/`, where coding agents look for them, for as long as this lives.
 * Nothing that is there already is touched; a link that a killed run left behind is known by where it points.
 */
import type { Logger } from "../../lib/log.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Extensions } from "./extensions.ts";

export class ExtensionLinks implements AsyncDisposable {
  readonly #folder: string;
  readonly #log: Logger;
  readonly #made = new Map<string, string>();

  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Links what is there now, and takes back what is there no more. */
  async update({ skills, commands }: Pick<Extensions, "skills" | "commands">): Promise<void> {
    const wanted = new Map<string, string>([
      ...skills.map(({ name, path }) => [`${this.#folder}/.claude/skills/${name}`, path] as const),
      ...commands.map(({ name, path }) => [`${this.#folder}/.claude/commands/${name}.md`, path] as const),
    ]);
    for (const link of this.#made.keys()) if (!wanted.has(link)) await this.#remove(link);
    for (const [link, target] of wanted) await this.#make(link, target);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of [...this.#made.keys()]) await this.#remove(link);
  }

  async #make(link: string, target: string): Promise<void> {
    try {
      const absolute = await Deno.realPath(target);
      const known = await Deno.readLink(link).catch(() => null);
      if (known === null) {
        if (await Deno.lstat(link).catch(() => null)) return;
        await Deno.mkdir(link.slice(0, link.lastIndexOf("/")), { recursive: true });
        await Deno.symlink(absolute, link);
      } else if (known !== absolute) return;
      this.#made.set(link, absolute);
    } catch (error) {
      this.#log.warn("extension.not_linked", { link, reason: messageOf(error) });
    }
  }

  async #remove(link: string): Promise<void> {
    const target = this.#made.get(link);
    this.#made.delete(link);
    const known = await Deno.readLink(link).catch(() => null);
    if (known !== null && known === target) await Deno.remove(link).catch(() => {});
  }
}
