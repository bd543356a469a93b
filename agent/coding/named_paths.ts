/**
 * Where a tool call leads: every path that it names, and what that is on the disk once all links are followed. A path
 * that cannot be followed to its end for certain is null. Between this look and the act somebody may put a link in
 * its place; who must rule that out isolates the workspace or allows no edits without asking.
 */
import { isAbsolute } from "node:path";
import type { ToolCallFields } from "./updates.ts";

const PATHS_MAX = 200;
/** Deeper input is no tool's: where it leads is not looked for. */
const DEPTH_MAX = 8;
const UNKNOWN = "\0";
const PATH_KEY = /path|file|dir|folder|cwd|destination|source|pattern|glob/i;

/** Paths of the call's places, of its changes, and of whatever in its input looks like one by its name. */
export function namedPaths(call: Pick<ToolCallFields, "locations" | "content" | "rawInput">): string[] {
  const places = (call.locations ?? []).map((location) => location.path);
  const changes = (call.content ?? []).flatMap((item) => item.type === "diff" ? [item.path] : []);
  const paths = new Set([...places, ...changes, ...inputPaths(call.rawInput)]);
  return [...paths].slice(0, PATHS_MAX + 1);
}

function inputPaths(input: unknown, depth = 0): string[] {
  if (!input || typeof input !== "object") return [];
  if (depth > DEPTH_MAX) return [UNKNOWN];
  return Object.entries(input).flatMap(([name, value]) => {
    const isPath = PATH_KEY.test(name);
    if (typeof value === "string") return isPath && value !== "" ? [value] : [];
    const here = isPath && Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
    return [...here, ...inputPaths(value, depth + 1)];
  });
}

/** Each path with all links followed, relative ones from `cwd`. */
export async function followPaths(paths: string[], cwd: string): Promise<(string | null)[]> {
  // More than anybody would name at once: then it is not certain where the call leads.
  if (paths.length > PATHS_MAX) return [null];
  return await Promise.all(paths.map((path) => followPath(isAbsolute(path) ? path : `${cwd}/${path}`)));
}

/** The end of the path may not exist yet: then what exists of it is followed, and the rest must be plain names. */
async function followPath(path: string): Promise<string | null> {
  const rest: string[] = [];
  for (let here = path;;) {
    try {
      return [await Deno.realPath(here), ...rest].join("/").replace(/^\/\//, "/");
    } catch (error) {
      // A link that leads nowhere leads out for whoever writes through it.
      if (!(error instanceof Deno.errors.NotFound) || await isThere(here)) return null;
    }
    const at = here.replace(/\/+$/, "").lastIndexOf("/");
    const name = here.slice(at + 1).replace(/\/+$/, "");
    if (name === "..") return null;
    if (name !== "." && name !== "") rest.unshift(name);
    if (at <= 0) return null;
    here = here.slice(0, at);
  }
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}
