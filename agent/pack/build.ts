/**
 * `deno task agent:pack [output]`: the agent as one executable for machines without Deno, made from the Deno that
 * runs this, for that kind of machine. `header.sh` says what happens at its start.
 */
import { gzipSync } from "node:zlib";
import { ADDON_NAME, bundleAgent, bundlePage, findAddon, PAGE_NAME } from "./bundle.ts";
import { publish, sha256 } from "./publish.ts";
import { concat, makeTar, type TarFile } from "./tar.ts";

const ENTRY = new URL("../main.ts", import.meta.url).pathname;
const HEADER = new URL("header.sh", import.meta.url);
const DEFAULT_OUTPUT = "dist/hearth-agent";

if (import.meta.main) await publish(Deno.args[0] ?? DEFAULT_OUTPUT, await packAgent());

/** The bytes of the agent's executable. */
async function packAgent(): Promise<Uint8Array<ArrayBuffer>> {
  return await makeExecutable([
    { name: "agent.mjs", bytes: await bundleAgent(ENTRY) },
    { name: PAGE_NAME, bytes: await bundlePage() },
    { name: ADDON_NAME, bytes: await Deno.readFile(findAddon()) },
    { name: "deno", bytes: await Deno.readFile(Deno.execPath()), isExecutable: true },
  ]);
}

/** The header in front of an archive of `files`, among which it starts `deno` with `agent.mjs`. */
export async function makeExecutable(files: TarFile[]): Promise<Uint8Array<ArrayBuffer>> {
  const archive = new Uint8Array(gzipSync(makeTar(files), { level: 9 }));
  const template = await Deno.readTextFile(HEADER);
  const firstLine = template.split("\n").length;
  const header = template.replace("@SUM@", await sha256(archive)).replace("@FIRST_LINE@", `${firstLine}`);
  return concat([new TextEncoder().encode(header), archive]);
}
