import { assertEquals } from "@std/assert";
import { TranscriptWriter } from "../../../agent/coding/transcript_writer.ts";
import { newId } from "../../../lib/ids.ts";
import { silent } from "../store/fixture.ts";

Deno.test("a tool call whose saving failed is saved as soon as there is room, though it does not change any more", async () => {
  const saved = Promise.withResolvers<string>();
  let tries = 0;
  const save = (row: { content: string }) => {
    if (++tries === 1) return Promise.reject(new Error("no room"));
    saved.resolve(row.content);
    return Promise.resolve();
  };
  const ids = { workspaceId: newId(), projectId: newId(), sessionId: newId(), cwd: "/checkout" };
  const shelf = { save, finish: () => Promise.resolve() };
  await using writer = new TranscriptWriter({ ids, shelf, log: silent });
  writer.take({ sessionUpdate: "tool_call", toolCallId: "t1", title: "Build" });
  const inVain = Promise.withResolvers<string>();
  const deadline = setTimeout(() => inVain.resolve("waited in vain"), 20_000);
  assertEquals(await Promise.race([saved.promise, inVain.promise]), "Build");
  clearTimeout(deadline);
});
