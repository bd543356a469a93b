/** Extensions of the chat engine's project: read anew for every session, and given to the coding agent. */
import { assert, assertEquals } from "@std/assert";
import { said, TestServer } from "./server.ts";

const withServers = (...names: string[]) =>
  JSON.stringify({
    mcpServers: Object.fromEntries(names.map((name) => [name, { command: "sh", env: { TOKEN: "hidden-value" } }])),
  });

Deno.test("what lies in the project when a session begins is what its coding agent is given", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/mcp.json`, withServers("files"));
    {
      await using server = await TestServer.start({ folder });
      await using client = await server.connect();
      client.send({ type: "create_session" });
      const first = await client.next("session_ready");
      assertEquals(first.source, "pre-warmed");
      const before = said(await client.turn(first.session_id, "extensions"));
      assertEquals(before, "Tool servers: files. Skills: none. Commands: none.");

      await Deno.writeTextFile(`${folder}/mcp.json`, withServers("files", "search"));
      await Deno.mkdir(`${folder}/skills/review`, { recursive: true });
      await Deno.writeTextFile(`${folder}/skills/review/SKILL.md`, "# Review");
      const from = client.frames.length;
      client.send({ type: "create_session" });
      const second = await client.next("session_ready", { from });
      // The process that was warm before the change knows nothing of it.
      assertEquals(second.source, "cold-start");
      const after = said(await client.turn(second.session_id, "extensions"));
      assertEquals(after, "Tool servers: files, search. Skills: review. Commands: none.");
      const { body } = await server.rest("GET /api/v1/extensions");
      assertEquals(body.mcp_servers.search, { command: "sh", args: [], env: ["TOKEN"] });
      assertEquals(body.skills, [{ name: "review", path: `${folder}/skills/review` }]);
      assert(await Deno.lstat(`${folder}/.claude/skills/review`));
      assert(!server.lines.some((line) => line.includes("hidden-value")));
    }
    assertEquals(await Deno.lstat(`${folder}/.claude/skills/review`).catch(() => null), null);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
