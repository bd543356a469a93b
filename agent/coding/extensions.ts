/**
 * What a project brings along for its coding agent: tool servers in `mcp.json`, `skills/<name>/SKILL.md` and
 * `commands/*.md`. Read from disk at every call. What is malformed is logged and left out, what is missing is silent,
 * and nothing that would change how a program loads its code is passed on.
 */
import { resolve } from "node:path";
import { z } from "zod";
import type { Logger } from "../../lib/log.ts";
import { type ExtensionInfo } from "../../lib/wire/chat_engine.ts";
import { findProgram } from "../process/find_program.ts";

const FILE_MAX_BYTES = 1024 * 1024;
const FOUND_MAX = 500;
const REFUSED_NAME = /^(?:LD_PRELOAD|LD_LIBRARY_PATH|PATH|PYTHONPATH|NODE_PATH|NODE_OPTIONS|DENO_.*)$/i;

export interface ToolServer {
  name: string;
  command: string;
  args: string[];
  env: { name: string; value: string }[];
}

export interface Found {
  name: string;
  path: string;
}

export interface Extensions {
  mcpServers: ToolServer[];
  /** Names of those whose command is nowhere on this machine; a coding agent does not get them. */
  missing: string[];
  skills: Found[];
  commands: Found[];
  /** SHA-256 of everything above and of the files' contents. */
  fingerprint: string;
  loadedAt: string;
}

const server = z.object({
  command: z.string().min(1),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
});
const mcpFile = z.object({ mcpServers: z.record(z.string(), z.unknown()).default({}) });

export interface LoadOptions {
  /** Where programs are looked for. */
  path: string;
  /** The folder is somebody's who may not read what we may: a `mcp.json` that is a link is left out. */
  isForeign?: boolean;
  log: Logger;
}

/** Everything found in `projectDir` now. */
export async function loadExtensions(projectDir: string, options: LoadOptions): Promise<Extensions> {
  const mcpServers = await readServers(`${projectDir}/mcp.json`, options);
  // A path in it is meant from the project's folder, where the coding agent starts it.
  const full = (command: string) => command.includes("/") ? resolve(projectDir, command) : command;
  const onPath = await Promise.all(mcpServers.map(({ command }) => findProgram(full(command), options.path)));
  const missing = mcpServers.filter((_, i) => !onPath[i]).map(({ name }) => name);
  for (const name of missing) options.log.warn("extension.command_missing", { server: name });
  const skills = await findSkills(`${projectDir}/skills`);
  const commands = await findCommands(`${projectDir}/commands`);
  const texts = await Promise.all([
    ...skills.map(({ path }) => readText(`${path}/SKILL.md`)),
    ...commands.map(({ path }) => readText(path)),
  ]);
  const fingerprint = await sha256(JSON.stringify([mcpServers, missing, skills, commands, texts]));
  return { mcpServers, missing, skills, commands, fingerprint, loadedAt: new Date().toISOString() };
}

/** The tool servers that can be started. */
export function usableServers(extensions: Extensions): ToolServer[] {
  return extensions.mcpServers.filter(({ name }) => !extensions.missing.includes(name));
}

/** What may be shown of them: never the value of a variable. */
export function describeExtensions(extensions: Extensions): ExtensionInfo {
  return {
    mcp_servers: Object.fromEntries(
      extensions.mcpServers.map(({ name, command, args, env }) => [
        name,
        { command, args, env: env.map((variable) => variable.name) },
      ]),
    ),
    skills: extensions.skills,
    commands: extensions.commands,
    loaded_at: extensions.loadedAt,
  };
}

async function readServers(path: string, { log, isForeign }: LoadOptions): Promise<ToolServer[]> {
  if (isForeign && (await Deno.lstat(path).catch(() => null))?.isSymlink) {
    log.warn("extension.link_not_followed", { path });
    return [];
  }
  const text = await readText(path);
  if (text === null) return [];
  let read: z.infer<typeof mcpFile>;
  try {
    read = mcpFile.parse(JSON.parse(text));
  } catch (error) {
    // The parser's own sentence may repeat the file, and with it a key.
    log.error("extension.mcp_json_invalid", { path, reason: error instanceof SyntaxError ? "no JSON" : "wrong shape" });
    return [];
  }
  return Object.entries(read.mcpServers).slice(0, FOUND_MAX).flatMap(([name, value]) => {
    const valid = server.safeParse(value);
    if (!valid.success) log.error("extension.server_invalid", { server: name });
    return valid.success ? [toServer(name, { value: valid.data, log })] : [];
  });
}

function toServer(name: string, { value, log }: { value: z.infer<typeof server>; log: Logger }): ToolServer {
  const refused = Object.keys(value.env).filter((variable) => REFUSED_NAME.test(variable));
  if (refused.length > 0) log.warn("extension.variable_refused", { server: name, names: refused });
  const env = Object.entries(value.env).filter(([variable]) => !refused.includes(variable))
    .map(([variable, text]) => ({ name: variable, value: text }));
  return { name, command: value.command, args: value.args, env };
}

async function findSkills(folder: string): Promise<Found[]> {
  const skills: Found[] = [];
  for (const { name, isFile } of await entriesOf(folder)) {
    if (isFile || !await isFileAt(`${folder}/${name}/SKILL.md`)) continue;
    skills.push({ name, path: `${folder}/${name}` });
  }
  return skills;
}

async function findCommands(folder: string): Promise<Found[]> {
  return (await entriesOf(folder)).filter(({ name, isFile }) => isFile && name.endsWith(".md"))
    .map(({ name }) => ({ name: name.slice(0, -3), path: `${folder}/${name}` }));
}

async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(folder));
    return entries.sort((a, b) => a.name < b.name ? -1 : 1).slice(0, FOUND_MAX);
  } catch {
    return [];
  }
}

async function isFileAt(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => null))?.isFile === true;
}

async function readText(path: string): Promise<string | null> {
  const info = await Deno.stat(path).catch(() => null);
  if (!info?.isFile || info.size > FILE_MAX_BYTES) return null;
  return await Deno.readTextFile(path).catch(() => null);
}

async function sha256(text: string): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))).toHex();
}
