/** Where a program is that is started by its name, as the system itself would look for it. */

/** The path of `command`, a name or a path already; null where there is no such program. */
export async function findProgram(command: string, searchPath = ""): Promise<string | null> {
  if (command.includes("/")) return await isExecutable(command) ? command : null;
  for (const folder of searchPath.split(":").filter((folder) => folder !== "")) {
    if (await isExecutable(`${folder}/${command}`)) return `${folder}/${command}`;
  }
  return null;
}

async function isExecutable(path: string): Promise<boolean> {
  const info = await Deno.stat(path).catch(() => null);
  return info !== null && info.isFile && ((info.mode ?? 0) & 0o111) !== 0;
}
