/** A conversation as a file: complete, in order, whole, and read only as fast as it is taken. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { message } from "../../lib/wire/message.ts";
import { newMessage } from "../fakes/agent.ts";
import { type RunningTask, startRunningTask } from "../lib/chat/fixture.ts";

function download(running: RunningTask, format: string): Promise<Response> {
  return fetch(`${running.test.url}${running.session}/export?format=${format}`, {
    headers: { authorization: `Bearer ${running.test.admin.key}` },
  });
}

Deno.test("the export as JSON lines holds every message whole, in order, by the schema of the API", async () => {
  await using running = await startRunningTask();
  const long = "é".repeat(40_000);
  for (let at = 0; at < 250; at += 50) {
    await running.post(running.batch(...Array.from({ length: 50 }, (_, i) => `message ${at + i}`)));
  }
  await running.post(running.batch(long));
  const response = await download(running, "jsonl");
  assertEquals(response.headers.get("content-type"), "application/jsonl; charset=utf-8");
  assertStringIncludes(response.headers.get("content-disposition")!, `${running.sessionId}.jsonl`);
  const lines = (await response.text()).trimEnd().split("\n").map((line) => message.parse(JSON.parse(line)));
  assertEquals(lines.map(({ seq }) => seq), Array.from({ length: 252 }, (_, i) => i + 1));
  assertEquals(
    lines.slice(1, 251).map(({ content }) => content),
    Array.from({ length: 250 }, (_, i) => `message ${i}`),
  );
  assert(lines[251]!.content === long && !lines[251]!.truncated);
});

Deno.test("the API's description names the forms in which an export is answered", async () => {
  await using running = await startRunningTask();
  const described = (await running.test.admin.call("GET /openapi.json")).body;
  const { content } = described.paths["/api/projects/{projectId}/sessions/{sessionId}/export"].get.responses[200];
  const answered = await Promise.all(["jsonl", "md"].map(async (format) => {
    const response = await download(running, format);
    await response.body?.cancel();
    return response.headers.get("content-type")!.split(";")[0];
  }));
  assertEquals(Object.keys(content), answered);
});

Deno.test("the export as Markdown tells who said what, and no text breaks out of its block", async () => {
  await using running = await startRunningTask();
  const toolMetadata = { tool: "Write a.md", target: "a.md", status: "failed", toolCallId: "1", diff: "+````\n+x" };
  await running.post([
    newMessage(running.sessionId, "I think."),
    newMessage(running.sessionId, "out ```` put", { role: "tool", toolMetadata, flags: { interrupted: true } }),
  ]);
  const text = await (await download(running, "md")).text();
  assert(text.startsWith("# Do it\n"));
  assertStringIncludes(text, "## Person\n");
  assertStringIncludes(text, "## Agent\n");
  assertStringIncludes(text, "## Tool Write a.md · a.md (failed, interrupted)\n");
  assertStringIncludes(text, "`````\nout ```` put\n`````\n`````diff\n+````\n+x\n`````\n");
});

Deno.test("another format is refused, another's conversation is not there, and a reader may go away", async () => {
  await using running = await startRunningTask();
  const bad = await download(running, "pdf");
  assertEquals([bad.status, (await bad.json()).error], [400, "invalid_request"]);
  const other = await running.test.addUser("other");
  assertEquals((await other.call(`GET ${running.session}/export`)).status, 404);
  for (let i = 0; i < 6; i++) await running.post(running.batch("x".repeat(200_000)));
  const response = await download(running, "jsonl");
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  assertEquals((await running.readSession()).lastSeq, 7);
});
