/**
 * The user of a workspace. Where the agent is root and workspaces are isolated, each one's processes run as a user of
 * their own, with a home and a folder for temporary files of their own, and reach nothing of the agent's or of other
 * workspaces. Who it is is written nowhere but in the ownership of the checkout. The folder around it stays the agent's,
 * so that nobody can put a link in the checkout's place. Of a mirror, only the workspaces that were cloned from it can
 * read, by a group of its own.
 */
import type { Logger } from "../../lib/log.ts";
import { messageOf } from "../../lib/errors.ts";
import { findProgram } from "../process/find_program.ts";
import { type ProcessUser, spawnChild } from "../process/spawn.ts";

/** Ids that Linux distributions leave free, and that also containers have. */
const IDS = { min: 60_600, max: 61_183 };
/** What is anybody's to write: a user's files there end with the workspace. */
const SHARED_FOLDERS = ["/tmp", "/var/tmp", "/dev/shm"];
const HELPER_MAX_MS = 5 * 60_000;
/** Settings that name files of the agent's own user. */
const OF_THE_AGENT = /^(?:HOME|USER|LOGNAME|TMPDIR|DENO_DIR|XDG_\w+|CLAUDE_CONFIG_DIR|CODEX_HOME|OPENCODE_CONFIG)$/;

export interface WorkspaceUsersOptions {
  /** The agent's data directory, which holds `workspaces` and `mirrors`. */
  dataDir: string;
  isOn: boolean;
  log: Logger;
}

export class WorkspaceUsers {
  readonly isOn: boolean;
  readonly #dataDir: string;
  readonly #log: Logger;
  #line: Promise<unknown> = Promise.resolve();
  #lastUid = IDS.min - 1;

  constructor({ dataDir, isOn, log }: WorkspaceUsersOptions) {
    this.#dataDir = dataDir;
    this.isOn = isOn;
    this.#log = log;
  }

  /**
   * Closes what is the agent's own, and opens the way to what is not. Throws an Error with a sentence for a person where
   * this machine cannot run a process as another user: rather no work than work without the wall.
   */
  async prepare(environment: Record<string, string>): Promise<void> {
    if (!this.isOn) return;
    if (await findProgram("setpriv", environment.PATH) === null) {
      throw new Error(
        "Workspaces are isolated here, and for that the program `setpriv` is missing. Install it (on Debian: apt-get " +
          "install util-linux), or set ISOLATE_WORKSPACES=0 on a machine that nobody else's work runs on.",
      );
    }
    // What is shared with a workspace has to be readable by it; everything else is closed by name.
    Deno.umask(0o022);
    const shared = ["workspaces", "mirrors"];
    for await (const entry of Deno.readDir(this.#dataDir)) {
      const path = `${this.#dataDir}/${entry.name}`;
      if (!shared.includes(entry.name) && !entry.isSymlink) await Deno.chmod(path, entry.isDirectory ? 0o700 : 0o600);
    }
    for (const folder of ["", ...shared]) {
      await Deno.mkdir(`${this.#dataDir}/${folder}`, { recursive: true });
      await Deno.chmod(`${this.#dataDir}/${folder}`, 0o711);
    }
  }

  /** Who a workspace's processes run as; undefined where it is nobody special. */
  async find(workspaceId: string): Promise<ProcessUser | undefined> {
    if (!this.isOn) return undefined;
    const info = await Deno.lstat(`${this.#folder(workspaceId)}/checkout`).catch(() => null);
    return isOurs(info?.uid) ? { uid: info!.uid!, gid: info!.gid! } : undefined;
  }

  /** The environment of a workspace's processes, of what the agent's children may have. */
  environmentOf(workspaceId: string, environment: Record<string, string>): Record<string, string> {
    if (!this.isOn) return environment;
    const own = Object.entries(environment).filter(([name]) => !OF_THE_AGENT.test(name));
    const folder = this.#folder(workspaceId);
    return { ...Object.fromEntries(own), HOME: `${folder}/home`, TMPDIR: `${folder}/tmp` };
  }

  /** Hands the checkout over to a user who may read this mirror, with a home and a place for temporary files. */
  async settle(workspaceId: string, mirror: string): Promise<void> {
    if (!this.isOn) return;
    await this.#alone(async () => {
      const folder = this.#folder(workspaceId);
      const known = await this.find(workspaceId);
      const uid = known?.uid ?? await this.#freeUid();
      const gid = await this.#groupOf(mirror);
      const theirs = ["checkout", "home", "tmp"].map((name) => `${folder}/${name}`);
      for (const path of theirs) {
        await Deno.mkdir(path, { recursive: true });
        await Deno.chmod(path, 0o700);
      }
      await this.#run("chown", ["-hR", `${uid}:${gid}`, "--", ...theirs]);
      await Deno.chmod(folder, 0o711);
    });
  }

  /** Removes what a user left outside of the workspace, after its last process. */
  async clear(workspaceId: string): Promise<void> {
    const user = await this.find(workspaceId);
    if (!user) return;
    const found = ["-xdev", "-uid", String(user.uid), "-delete"];
    for (const folder of SHARED_FOLDERS) {
      await this.#run("find", [folder, ...found]).catch((error) =>
        this.#log.warn("workspace.files_left", { workspaceId, folder, reason: messageOf(error) })
      );
    }
  }

  /** Never twice in a row the same one: what somebody may have overlooked is not handed on at once. */
  async #freeUid(): Promise<number> {
    const workspaces = await ownersIn(`${this.#dataDir}/workspaces`, { kind: "uid", below: "/checkout" });
    const taken = new Set([...workspaces, ...await ownersIn("/proc", { kind: "uid" })]);
    const uid = firstFree(taken, this.#lastUid + 1);
    return this.#lastUid = uid;
  }

  async #groupOf(mirror: string): Promise<number> {
    const info = await Deno.stat(mirror);
    if (isOurs(info.gid)) return info.gid!;
    const gid = firstFree(new Set(await ownersIn(`${this.#dataDir}/mirrors`, { kind: "gid" })), IDS.min);
    await Deno.chown(mirror, 0, gid);
    await Deno.chmod(mirror, 0o750);
    return gid;
  }

  async #run(command: string, args: string[]): Promise<void> {
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };
    const { process } = await spawnChild(command, { args, cwd: "/", env, stdin: "null" });
    const timer = setTimeout(() => process.kill("SIGKILL"), HELPER_MAX_MS);
    const { success, stderr } = await process.output().finally(() => clearTimeout(timer));
    if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr).slice(0, 300)}`);
  }

  #folder(workspaceId: string): string {
    return `${this.#dataDir}/workspaces/${workspaceId}`;
  }

  /** One at a time: two at once would be given the same id. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const here = this.#line.then(work);
    this.#line = here.catch(() => {});
    return here;
  }
}

function isOurs(id: number | null | undefined): boolean {
  return typeof id === "number" && id >= IDS.min && id <= IDS.max;
}

function firstFree(taken: Set<number>, from: number): number {
  const count = IDS.max - IDS.min + 1;
  for (let n = 0; n < count; n++) {
    const id = IDS.min + (from - IDS.min + n) % count;
    if (!taken.has(id)) return id;
  }
  throw new Error(`All ${count} user ids for workspaces are taken on this machine.`);
}

/** The users or groups that own what lies in a folder, or so far below it. */
async function ownersIn(folder: string, what: { kind: "uid" | "gid"; below?: string }): Promise<number[]> {
  const { kind, below = "" } = what;
  const owners: number[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const owner = (await Deno.lstat(`${folder}/${name}${below}`).catch(() => null))?.[kind];
      if (typeof owner === "number") owners.push(owner);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return owners;
}
