/** What an edge makes of its data directory. */
import { assertEquals } from "@std/assert";
import { startTestEdge } from "../../edge.ts";

Deno.test("a data directory that others could look into is closed to them", async () => {
  const directory = await Deno.makeTempDir({ prefix: "hearth-data-" });
  await Deno.chmod(directory, 0o755);
  await using _test = await startTestEdge({ env: { HEARTH_DATA_DIR: directory } });
  assertEquals((await Deno.stat(directory)).mode! & 0o777, 0o700);
});
