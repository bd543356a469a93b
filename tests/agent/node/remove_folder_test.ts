/** A workspace's folder goes, also while a process of an agent that was killed still writes into it. */
import { assertEquals } from "@std/assert";
import { removeFolder } from "../../../agent/node/workspace_parts.ts";
import { temporaryFolder } from "./repository.ts";

/** So many that whoever removes them meets the writer. */
const FILES = 3_000;

Deno.test("a folder goes while somebody still writes into it, and one that is missing is fine", async () => {
  await using folder = await temporaryFolder();
  const path = `${folder.path}/checkout`;
  await Deno.mkdir(`${path}/deep`, { recursive: true });
  for (let n = 0; n < FILES; n++) await Deno.writeTextFile(`${path}/deep/${n}`, "");
  const script = 'echo begun; n=0; while [ $n -lt 300 ]; do n=$((n+1)); mkdir -p "$0/deep"; : > "$0/deep/new$n"; done';
  const writer = new Deno.Command("sh", { args: ["-c", script, path], stdout: "piped", stderr: "null" }).spawn();
  const said = writer.stdout.getReader();
  await said.read();
  await removeFolder(path);
  await said.cancel();
  await writer.status;
  await removeFolder(path);
  await removeFolder(path);
  assertEquals(await Array.fromAsync(Deno.readDir(folder.path)), []);
});
