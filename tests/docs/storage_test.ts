import { assertEquals } from "@std/assert";
import * as keys from "../../lib/store/keys.ts";

const DOCUMENT = new URL("../../docs/storage.md", import.meta.url);

/** The first part of each key, with the number of its parts; the feed's key ends in a versionstamp besides. */
function keysOfTheProgram(): Map<string, number> {
  const found = new Map<string, number>();
  for (const [name, make] of Object.entries(keys)) {
    if (!/(Key|Prefix)$/.test(name) || typeof make !== "function") continue;
    const parts = (make as (...parts: unknown[]) => unknown[])("a", "b", "c", "d");
    found.set(String(parts[0]), parts.length + (name.endsWith("Prefix") ? 1 : 0));
  }
  return found;
}

/** The same from the first cell of each row of the document's tables. */
async function keysOfTheDocument(): Promise<Map<string, number>> {
  const rows = (await Deno.readTextFile(DOCUMENT)).matchAll(/^\| `([a-zA-Z]+)((?:, [^`,]+)+)` +\|/gm);
  return new Map([...rows].map(([, family, rest]) => [family!, rest!.split(",").length]));
}

Deno.test("every key family of the program stands in docs/storage.md, and no other", async () => {
  const [program, documented] = [keysOfTheProgram(), await keysOfTheDocument()];
  assertEquals([...documented].toSorted(), [...program].toSorted());
});
