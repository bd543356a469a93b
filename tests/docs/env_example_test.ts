import { assert, assertEquals } from "@std/assert";
import type { z } from "zod";
import { agentEnvironment } from "../../agent/config.ts";
import { serveEnvironment } from "../../agent/serve/config.ts";
import { edgeEnvironment } from "../../lib/config.ts";
import { readEnv } from "../../lib/env.ts";

const EXAMPLE = new URL("../../.env.example", import.meta.url);

interface Line {
  name: string;
  value: string;
  /** The lines of comment above it. */
  meaning: string;
}

/** The variables of each part of the file, by the first words of the part's title. */
async function readParts(): Promise<{ edge: Line[]; agent: Line[]; serve: Line[] }> {
  const text = await Deno.readTextFile(EXAMPLE);
  const [, edge = "", agent = "", serve = ""] = text.split(/^# --- The (?:edge|agent|chat engine): .* ---$/m);
  return { edge: readLines(edge), agent: readLines(agent), serve: readLines(serve) };
}

function readLines(part: string): Line[] {
  const lines: Line[] = [];
  let meaning = "";
  for (const line of part.split("\n")) {
    const [, name, value] = line.match(/^#([A-Z][A-Z0-9_]*)=(.*)$/) ?? [];
    if (name) lines.push({ name, value: value!, meaning });
    else if (line.startsWith("# ")) meaning = line.slice(2);
    else assert(line === "" || line === "#", `a line that is no variable and no comment: ${line}`);
  }
  return lines;
}

/** What has to be given, and has no default: something that is valid. */
const GIVEN = {
  NODE_ID: crypto.randomUUID(),
  CONTROL_PLANE_URL: "https://hearth.example.org",
  HEARTH_API_KEY: "a-key",
};

function assertSame(lines: Line[], schema: z.ZodObject): void {
  const names = lines.map((line) => line.name);
  assertEquals(
    names.toSorted(),
    Object.keys(schema.shape).toSorted(),
    "the file and the schema name the same variables",
  );
  assertEquals(names.length, new Set(names).size, "each is named once");
  for (const { name, meaning } of lines) assert(meaning.length > 10, `${name} has no word on what it means`);

  const defaults: Record<string, unknown> = readEnv(schema, GIVEN);
  const shown: Record<string, unknown> = readEnv(schema, {
    ...Object.fromEntries(lines.map(({ name, value }) => [name, value])),
    ...GIVEN,
  });
  assertEquals(shown, defaults, "the values in the file are the defaults");
  const silent = lines.filter(({ name, value }) =>
    value === "" && !(name in GIVEN) && (defaults[name] ?? null) !== null
  );
  assertEquals(silent.map(({ name }) => name), [], "every default is written down");
}

Deno.test("T077 .env.example lists every variable of the edge with its default, and no other", async () => {
  assertSame((await readParts()).edge, edgeEnvironment);
});

Deno.test("T077 .env.example lists every variable of the agent with its default, and no other", async () => {
  assertSame((await readParts()).agent, agentEnvironment);
});

Deno.test("T077 .env.example lists every variable of the chat engine with its default, and no other", async () => {
  assertSame((await readParts()).serve, serveEnvironment);
});
