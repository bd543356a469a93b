/**
 * Which coding agents this machine has: a program on the PATH counts when it starts, and it starts when it says its
 * version within a time. What one said is remembered for as long as its file stays the same, so that a node is ready at
 * once; what does not start is looked at anew each time, and told with the reason.
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import { cutText } from "../../lib/bytes.ts";
import { endProcesses } from "../../lib/end_processes.ts";
import { messageOf } from "../../lib/errors.ts";
import { type Logger, scrub } from "../../lib/log.ts";
import { findProgram } from "../process/find_program.ts";
import { spawnChild } from "../process/spawn.ts";
import { LastLines } from "./last_lines.ts";
import { installableProfiles, type Profile, type ProfileConfig, profileEnvironment } from "./profiles.ts";

/** They take one second, on a machine that has just been started and has much to do many times as long. */
const VERSION_MAX_MS = 30_000;
const WHY_MAX_CHARS = 300;
/** More than this was not written by us. */
const NOTE_MAX_BYTES = 64 * 1024;
const VERSION = /\d+\.\d+\.\d+\S*/;

export type Found =
  | { is: "missing" }
  /** `version`: null where it started and told none. */
  | { is: "working"; version: string | null }
  | { is: "broken"; why: string };

export interface Installed {
  profile: Profile;
  found: Found;
}

/** One program as it was when it last said its version. */
const note = z.object({ path: z.string(), mtimeMs: z.number(), size: z.number(), version: z.string().nullable() });
const notes = z.record(z.string(), note);
type Note = z.infer<typeof note>;

/** Each coding agent that can be installed, as it is found on this machine now. Never throws. */
export async function findInstalled(
  { childEnvironment: environment }: Pick<ProfileConfig, "childEnvironment">,
  options: { maxMs?: number } = {},
): Promise<Installed[]> {
  return await Promise.all(
    installableProfiles().map(async (profile) => {
      const path = await findProgram(profile.command, environment.PATH);
      const found: Found = path === null
        ? { is: "missing" }
        : await askVersion(profile, { environment, maxMs: options.maxMs ?? VERSION_MAX_MS });
      return { profile, found };
    }),
  );
}

/** Ids of the coding agents that start. `demo` always does. */
export async function availableProfiles(
  { childEnvironment: environment }: Pick<ProfileConfig, "childEnvironment">,
  options: { log: Logger; maxMs?: number },
): Promise<string[]> {
  const { log, maxMs = VERSION_MAX_MS } = options;
  const known = await readNotes(environment);
  const looked = await Promise.all(
    installableProfiles().map(async (profile) => {
      const now = await noteOf(profile, environment);
      if (now === null) return null;
      const before = known[profile.id];
      if (before && isSame(before, now)) return { id: profile.id, note: before };
      const found = await askVersion(profile, { environment, maxMs });
      if (found.is === "working") return { id: profile.id, note: { ...now, version: found.version } };
      if (found.is === "broken") log.warn("coding_agent.broken", { codingAgent: profile.id, reason: found.why });
      return null;
    }),
  );
  const working = looked.filter((each) => each !== null);
  const next = Object.fromEntries(working.map(({ id, note }) => [id, note]));
  if (JSON.stringify(next) !== JSON.stringify(known)) await writeNotes(environment, next);
  return ["demo", ...working.map(({ id }) => id)];
}

/** What its program says of itself. Whatever it does, it has ended then. */
async function askVersion(
  profile: Profile,
  { environment, maxMs }: { environment: Record<string, string>; maxMs: number },
): Promise<Found> {
  const mark = `${crypto.randomUUID()}/version`;
  const env = profileEnvironment(profile, environment);
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), maxMs);
  try {
    const { process, leader } = await spawnChild(profile.command, {
      args: ["--version"],
      cwd: "/",
      env,
      mark,
      stdin: "null",
    });
    await using out = new LastLines(process.stdout);
    await using errors = new LastLines(process.stderr);
    const ended = Promise.all([process.status, out.whenEnded(), errors.whenEnded()]);
    const [status] = await Promise.race([ended, late]) ?? [null];
    if (status === null) {
      const left = await endProcesses(mark, { leader, graceMs: 0 });
      if (left.length === 0) await process.status;
      return { is: "broken", why: `it did not say its version within ${Math.ceil(maxMs / 1_000)} s` };
    }
    if (status.success) return { is: "working", version: VERSION.exec(out.text)?.[0] ?? null };
    const how = status.signal ? `it was ended by ${status.signal}` : `it ended with exit code ${status.code}`;
    return { is: "broken", why: tell(how, errors.text) };
  } catch (error) {
    return { is: "broken", why: tell("it cannot be started", messageOf(error)) };
  } finally {
    clearTimeout(timer);
  }
}

function tell(what: string, words: string): string {
  return cutText(scrub(words === "" ? what : `${what}: ${words.replaceAll("\n", " ")}`), WHY_MAX_CHARS);
}

/** The program as it lies there; null where there is none. */
async function noteOf(profile: Profile, environment: Record<string, string>): Promise<Note | null> {
  const path = await findProgram(profile.command, environment.PATH);
  const info = path === null ? null : await Deno.stat(path).catch(() => null);
  if (path === null || info === null) return null;
  return { path, mtimeMs: info.mtime?.getTime() ?? 0, size: info.size, version: null };
}

function isSame(a: Note, b: Note): boolean {
  return a.path === b.path && a.mtimeMs === b.mtimeMs && a.size === b.size;
}

/** Beside what else this user's programs remember, for the agents of a machine come and go; null without a home. */
function pathOfNotes({ XDG_CACHE_HOME, HOME }: Record<string, string>): string | null {
  const cache = XDG_CACHE_HOME ?? (HOME ? join(HOME, ".cache") : null);
  return cache ? join(cache, "hearth", "coding-agents.json") : null;
}

async function readNotes(environment: Record<string, string>): Promise<Record<string, Note>> {
  const path = pathOfNotes(environment);
  try {
    if (path === null || (await Deno.stat(path)).size > NOTE_MAX_BYTES) return {};
    return notes.parse(JSON.parse(await Deno.readTextFile(path)));
  } catch {
    // Nothing is lost: they are asked.
    return {};
  }
}

async function writeNotes(environment: Record<string, string>, next: Record<string, Note>): Promise<void> {
  const path = pathOfNotes(environment);
  if (path === null) return;
  const fresh = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await Deno.writeTextFile(fresh, JSON.stringify(next), { mode: 0o600 });
    await Deno.rename(fresh, path);
  } catch {
    // A home that cannot be written: they are asked again the next time.
    await Deno.remove(fresh).catch(() => {});
  }
}
