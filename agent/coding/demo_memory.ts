/**
 * What the demo coding agent remembers of a conversation: a small file that outlives its process and is never part of
 * a commit. It lies in the checkout's `.git` and goes with it, or in the system's folder for temporary files.
 */
import { tmpdir } from "node:os";
import { z } from "zod";
import { isUuid } from "../../lib/ids.ts";

/** The newest entries are kept: the file stays small however long a conversation gets. */
const ENTRIES_MAX = 100;
const TEXT_MAX = 4_000;

const entry = z.object({ role: z.enum(["user", "agent"]), text: z.string() });
const memory = z.object({ entries: z.array(entry) });
export type DemoEntry = z.infer<typeof entry>;

export class DemoMemory {
  readonly entries: DemoEntry[];
  readonly #path: string;

  private constructor(path: string, entries: DemoEntry[]) {
    this.#path = path;
    this.entries = entries;
  }

  static async create(cwd: string, sessionId: string): Promise<DemoMemory> {
    const created = new DemoMemory(await pathOf(cwd, sessionId), []);
    await created.#save();
    return created;
  }

  /** The conversation of this id; null when there is none. */
  static async open(cwd: string, sessionId: string): Promise<DemoMemory | null> {
    if (!isUuid(sessionId)) return null;
    try {
      const path = await pathOf(cwd, sessionId);
      return new DemoMemory(path, memory.parse(JSON.parse(await Deno.readTextFile(path))).entries);
    } catch {
      return null;
    }
  }

  async add(added: DemoEntry): Promise<void> {
    if (added.text === "") return;
    this.entries.push({ role: added.role, text: added.text.slice(0, TEXT_MAX) });
    this.entries.splice(0, Math.max(0, this.entries.length - ENTRIES_MAX));
    await this.#save();
  }

  async #save(): Promise<void> {
    const next = `${this.#path}.next`;
    await Deno.writeTextFile(next, JSON.stringify({ entries: this.entries }));
    await Deno.rename(next, this.#path);
  }
}

async function pathOf(cwd: string, sessionId: string): Promise<string> {
  const git = await Deno.stat(`${cwd}/.git`).catch(() => null);
  // One for each user of the machine: nobody can write into another's.
  const folder = git?.isDirectory ? `${cwd}/.git/hearth-demo` : `${tmpdir()}/hearth-demo-${Deno.uid() ?? "user"}`;
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  return `${folder}/${sessionId}.json`;
}
