import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { z } from "zod";
import { readInstructions } from "../../agent/coding/demo_language.ts";
import { commandFrame, helloFrame, refreshFrame, toEdgeFrame, upgradeFrame } from "../../lib/wire/control.ts";
import { serverFrame } from "../../lib/wire/feed.ts";
import { relayToAgentFrame, relayToEdgeFrame } from "../../lib/wire/relay.ts";

const DOCUMENT = new URL("../../docs/protocol.md", import.meta.url);

/** The part of the document under a heading, up to the next one of that rank. */
async function readPart(heading: string): Promise<string> {
  const text = await Deno.readTextFile(DOCUMENT);
  const part = text.split(/^## /m).find((each) => each.startsWith(heading));
  assert(part, `no part "${heading}"`);
  return part;
}

/** What the first cells of a part's tables name in code. */
function firstCells(part: string): string[] {
  const cells = [...part.matchAll(/^\| (`[^|]*)\|/gm)].map((match) => match[1]!);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
}

function typesOf(frames: readonly z.ZodObject<{ type: z.ZodLiteral<string> }>[]): string[] {
  return frames.map((frame) => frame.shape.type.value);
}

Deno.test("every frame of the live socket stands in docs/protocol.md, and no other", async () => {
  assertEquals(firstCells(await readPart("Live socket")).toSorted(), typesOf(serverFrame.options).toSorted());
});

Deno.test("every frame and command of the control link stands in docs/protocol.md, and no other", async () => {
  const part = await readPart("Control link");
  const frames = [...typesOf([...toEdgeFrame.options, helloFrame, refreshFrame, upgradeFrame]), "command"];
  assertEquals(firstCells(part).toSorted(), [...new Set(frames)].toSorted());
  const [, kinds = ""] = part.match(/^Kinds of commands: ([^]*?)\n\n/m) ?? [];
  const named = [...kinds.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
  assertEquals(named.toSorted(), commandFrame.options.map((option) => option.shape.kind.value).toSorted());
});

Deno.test("the demo coding agent understands each line that docs/protocol.md teaches, and all that it does is there", async () => {
  const examples: Record<string, string> = { N: "3", USD: "0.5", MS: "5", "[MS]": "5" };
  const lines = firstCells(await readPart("The demo coding agent")).map((line) =>
    line.split(" ").map((word) => examples[word] ?? word).join(" ")
  );
  const kinds = readInstructions(lines.join("\n")).map(({ kind }) => kind === "askWrite" ? "ask" : kind);
  assertEquals(kinds, lines.map((line) => line.split(" ")[0]!));
  const all = ["say", "think", "plan", "write", "run", "ask", "stream", "wait", "fail", "extensions", "spend", "crash"];
  assertEquals([...new Set(kinds)].toSorted(), all.toSorted());
  const [other] = readInstructions("paint the fence");
  assert(other?.kind === "say");
  assertStringIncludes(other.text, "paint the fence");
});

Deno.test("every frame of the relay stands in docs/protocol.md, and no other", async () => {
  const frames = [...typesOf(relayToAgentFrame.options), ...typesOf(relayToEdgeFrame.options)];
  assertEquals(firstCells(await readPart("Relay")).toSorted(), [...new Set(frames)].toSorted());
});
