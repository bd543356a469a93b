/**
 * Skills and commands linked into `<folder>/.claude/`, where coding agents look for them, for as long as this lives.
 * Nothing that is there already is touched, no link of the folder is followed out of it, and git is told to leave them
 * out of commits. A link that a killed run left behind is known by where it points.
 */
import { dirname } from "node:path";
import type { Logger } from "../../lib/log.ts";
import { messageOf } from "../../lib/errors.ts";
import type { Extensions } from "./extensions.ts";

const BEGIN = "# hearth: links of skills and commands";
const END = "# hearth: end of links";

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
      ...skills.map(({ name, path }) => [`.claude/skills/${name}`, path] as const),
      ...commands.map(({ name, path }) => [`.claude/commands/${name}.md`, path] as const),
    ]);
    for (const link of this.#made.keys()) if (!wanted.has(link)) await this.#remove(link);
    for (const [link, target] of wanted) await this.#make(link, target);
    await this.#hide();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#made.size === 0) return;
    for (const link of [...this.#made.keys()]) await this.#remove(link);
    await this.#hide();
  }

  async #make(link: string, target: string): Promise<void> {
    const path = `${this.#folder}/${link}`;
    try {
      const absolute = await Deno.realPath(target);
      const known = await Deno.readLink(path).catch(() => null);
      if (known === null) {
        if (await Deno.lstat(path).catch(() => null)) return;
        for (const folder of [dirname(dirname(path)), dirname(path)]) {
          await Deno.mkdir(folder, { recursive: true });
          await this.#requireInside(folder);
        }
        await Deno.symlink(absolute, path);
      } else if (known !== absolute) return;
      this.#made.set(link, absolute);
    } catch (error) {
      this.#log.warn("extension.not_linked", { link, reason: messageOf(error) });
    }
  }

  /** A project may hold a `.claude` that leads elsewhere: what is not its own is not written to. */
  async #requireInside(folder: string): Promise<void> {
    const [real, root] = await Promise.all([Deno.realPath(folder), Deno.realPath(this.#folder)]);
    if (!real.startsWith(`${root}/`)) throw new Error("The folder leads out of the project.");
  }

  async #remove(link: string): Promise<void> {
    const path = `${this.#folder}/${link}`;
    const target = this.#made.get(link);
    this.#made.delete(link);
    const known = await Deno.readLink(path).catch(() => null);
    if (known !== null && known === target) await Deno.remove(path).catch(() => {});
  }

  /** In the repository's own list, which is no part of any commit. */
  async #hide(): Promise<void> {
    const info = `${this.#folder}/.git/info`;
    // A folder that is no repository of its own has no commits, or shares them with what we know nothing of.
    if (!(await Deno.lstat(`${this.#folder}/.git`).catch(() => null))?.isDirectory) return;
    try {
      await Deno.mkdir(info, { recursive: true });
      await this.#requireInside(info);
      const path = `${info}/exclude`;
      const found = await Deno.lstat(path).catch(() => null);
      if (found?.isSymlink) throw new Error("The list of what git leaves out is a link.");
      const before = found ? await Deno.readTextFile(path) : "";
      const after = withLinks(before, [...this.#made.keys()]);
      if (after !== before) await Deno.writeTextFile(path, after);
    } catch (error) {
      this.#log.warn("extension.not_hidden", { reason: messageOf(error) });
    }
  }
}

/** Git's list with these links in our own part of it. */
function withLinks(text: string, links: string[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  const own = begin === -1 || end < begin ? text : text.slice(0, begin) + text.slice(end + END.length + 1);
  if (links.length === 0) return own;
  const lines = links.map((link) => `/${link.replaceAll(/[\\*?[\]!# ]/g, "\\$&")}`);
  return `${own === "" || own.endsWith("\n") ? own : `${own}\n`}${[BEGIN, ...lines, END].join("\n")}\n`;
}
