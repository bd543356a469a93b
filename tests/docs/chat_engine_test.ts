/** The page on the chat engine names every option, with the default that the program has. */
import { assert, assertEquals } from "@std/assert";
import { serveEnvironment } from "../../agent/serve/config.ts";

const PAGE = new URL("../../docs/chat-engine.md", import.meta.url);
/** The packed executable sets it for itself. */
const OWN = ["HEARTH_AGENT_EXECUTABLE"];

Deno.test("docs/chat-engine.md lists every option of the chat engine with its default, and no other", async () => {
  const text = await Deno.readTextFile(PAGE);
  const rows = text.split("\n").filter((line) => line.startsWith("| `")).map((line) => line.split("|").slice(1, 3));
  const listed = rows.flatMap(([names = "", defaults = ""]) => {
    const values = defaults.replaceAll(/[` ]/g, "").split(",");
    return [...names.matchAll(/`(\w+)`/g)].map(([, name], at) => [name ?? "", values[at] ?? values[0] ?? ""] as const);
  });
  const known = Object.keys(serveEnvironment.shape).filter((name) => !OWN.includes(name));
  assertEquals(listed.map(([name]) => name).toSorted(), known.toSorted());
  const shown = new Map(listed);
  const defaults = { ...serveEnvironment.parse({ HEARTH_API_KEY: "key" }), DATABASE_URL: null, PROJECT_DIR: null };
  for (const [name, value] of Object.entries(defaults)) {
    if (value === null || name === "HEARTH_API_KEY") continue;
    assertEquals(shown.get(name)?.toLowerCase(), String(value), name);
  }
  assert(text.includes("docker build -f agent/pack/Dockerfile"));
});
