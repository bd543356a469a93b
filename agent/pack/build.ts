/**
 * `deno task agent:pack [output]`: the agent as one executable for machines without Deno, made from the Deno that
 * runs this, for that kind of machine. `header.sh` says what happens at its start.
 */
import { gzipSync } from "node:zlib";
import { ADDON_NAME, bundleAgent, findAddon } from "./bundle.ts";
import { publish, sha256 } from "./publish.ts";
import { concat, makeTar } from "./tar.ts";

const ENTRY = new URL("../main.ts", import.meta.url).pathname;
const HEADER = new URL("header.sh", import.meta.url);
const DEFAULT_OUTPUT = "dist/hearth-agent";

if (import.meta.main) await publish(Deno.args[0] ?? DEFAULT_OUTPUT, await packAgent());

/** The bytes of the executable. */
async function packAgent(): Promise<Uint8Array<ArrayBuffer>> {
  const tar = makeTar([
    { name: "agent.mjs", bytes: await bundleAgent(ENTRY) },
    { name: ADDON_NAME, bytes: await Deno.readFile(findAddon()) },
    { name: "deno", bytes: await Deno.readFile(Deno.execPath()), isExecutable: true },
  ]);
  const archive = new Uint8Array(gzipSync(tar, { level: 9 }));
  return concat([await makeHeader(archive), archive]);
}

async function makeHeader(archive: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const template = await Deno.readTextFile(HEADER);
  const firstLine = template.split("\n").length;
  const header = template.replace("@SUM@", await sha256(archive)).replace("@FIRST_LINE@", `${firstLine}`);
  return new TextEncoder().encode(header);
}
