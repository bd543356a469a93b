/** Who may import whom, as one table, held against the code; and each rule against a planted violation. */
import { assertEquals } from "@std/assert";
import { type Module, readModules } from "./tooling/graph.ts";
import {
  checkBrowser,
  checkCycles,
  checkDenoNames,
  checkFiles,
  checkImports,
  EVERYTHING,
  GROUND_FLOOR,
  type Table,
} from "./tooling/rules.ts";

const ROOT = new URL("..", import.meta.url).pathname.replace(/\/$/, "");

const WIRE = ["lib/wire"];
const STORED = [...WIRE, "lib/store"];
const OUTSIDE = [...STORED, "lib/auth", "lib/live", "lib/providers", "lib/edge.ts"];
const ENTITIES = ["lib/nodes", "lib/workspaces", "lib/chat"];
const RULES = [...OUTSIDE, ...ENTITIES, "lib/tasks"];

const TABLE: Table = {
  rows: {
    [GROUND_FLOOR]: { imports: [], types: WIRE },
    "lib/wire": { imports: [] },
    "lib/store": { imports: WIRE },
    "lib/providers": { imports: WIRE },
    "lib/ui": { imports: WIRE },
    "lib/auth": { imports: STORED, types: ["lib/edge.ts"] },
    "lib/live": { imports: STORED, types: ["lib/edge.ts"] },
    "lib/edge.ts": { imports: [...STORED, "lib/providers"], types: ["lib/auth", "lib/live"] },
    "lib/nodes": { imports: OUTSIDE },
    "lib/workspaces": { imports: OUTSIDE },
    "lib/chat": { imports: OUTSIDE },
    "lib/tasks": { imports: [...OUTSIDE, ...ENTITIES] },
    "lib/scheduler": { imports: [...RULES, "lib/admin"], onlyBy: ["main.ts", "tests"] },
    "lib/admin": { imports: RULES },
    "lib/render": { imports: ["lib/ui"], types: ["fresh.config.ts"] },
    "islands": { imports: [...WIRE, "lib/ui"] },
    "routes": { imports: [...RULES, "lib/admin", "lib/render", "lib/ui", "islands", "fresh.config.ts"] },
    "agent": { imports: WIRE },
    "agent/pack": { imports: [], onlyBy: ["tests"] },
    "agent/serve/page": { imports: [...WIRE, "lib/ui"], onlyBy: ["tests"] },
    "fresh.config.ts": { imports: [] },
    "main.ts": { imports: [EVERYTHING], onlyBy: ["tests"] },
    "tests": { imports: [EVERYTHING], onlyBy: [] },
  },
  browser: {
    folders: ["islands", "agent/serve/page"],
    npm: ["preact", "@preact/signals", "ky", "zod", "uuid", "markdown-it", "dompurify", "highlight.js", "@xterm/xterm"],
  },
  denoNames: [
    {
      pattern: /^Deno\.env$/,
      onlyIn: ["lib/config.ts", "agent/config.ts", "main.ts", "agent/main.ts", "lib/admin/main.ts", "tests"],
    },
    { pattern: /^Deno\.(openKv|Kv|AtomicOperation)$/, onlyIn: ["lib/store", "tests"] },
  ],
  linesMax: { code: 400, tests: 500 },
};

const TOP_LEVEL = [
  "main.ts",
  "routes",
  "islands",
  "lib",
  "agent",
  "tests",
  "deno.json",
  "fresh.config.ts",
  "static",
  "docs",
];
const BESIDES = [
  ...["README.md", "CHANGELOG.md", "LICENSE", "deno.lock", "package.json"],
  ...[".env.example", ".ci", ".github", ".gitignore", ".editorconfig"],
];
/** Made on a machine and kept out of the repository. */
const MADE = [".git", ".env", "node_modules", "data", "dist", "_fresh", "coverage"];

Deno.test("imports follow the table", async () => {
  assertEquals(checkImports(await readModules(ROOT), TABLE), []);
});

Deno.test("islands bring only what a browser can run", async () => {
  assertEquals(checkBrowser(await readModules(ROOT), TABLE), []);
});

Deno.test("only the store touches Deno KV, only the config modules the environment", async () => {
  assertEquals(checkDenoNames(await readModules(ROOT), TABLE), []);
});

Deno.test("folders of lib form no circle", async () => {
  assertEquals(checkCycles(await readModules(ROOT)), []);
});

Deno.test("files have a limit, a first comment and a name that says what they are", async () => {
  assertEquals(checkFiles(await readModules(ROOT), TABLE), []);
});

Deno.test("TASK-001-AC2 the top level holds what it always holds", async () => {
  const names = await Array.fromAsync(Deno.readDir(ROOT), (entry) => entry.name);
  assertEquals(TOP_LEVEL.filter((name) => !names.includes(name)), []);
  assertEquals(names.filter((name) => ![...TOP_LEVEL, ...BESIDES, ...MADE].includes(name)), []);
});

/** The modules of a tree of its own that holds `files`. */
async function plant(files: Record<string, string>): Promise<Module[]> {
  const root = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    return await readModules(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const A = "export const a = 1;\nexport type A = string;\n";

Deno.test("planted: an import against the table is caught, also when it is only a type or dynamic", async () => {
  const modules = await plant({
    "lib/ids.ts":
      `import type { A } from "./wire/a.ts";\nimport { a } from "./wire/a.ts";\nexport const b: A = String(a);`,
    "lib/wire/a.ts": A,
    "lib/store/a.ts": `import "../ids.ts";\nimport "../wire/a.ts";\n${A}`,
    "lib/nodes/a.ts": `import type { A } from "../chat/a.ts";\nimport "../store/a.ts";\nexport type B = A;`,
    "lib/chat/a.ts": A,
    "agent/a.ts": `export const load = () => import("../lib/store/a.ts");`,
  });
  assertEquals(checkImports(modules, TABLE), [
    "agent/a.ts imports lib/store/a.ts, but agent may not import lib/store.",
    "lib/ids.ts imports lib/wire/a.ts, but lib/*.ts may not import lib/wire.",
    "lib/nodes/a.ts imports lib/chat/a.ts, but lib/nodes may not import lib/chat.",
  ]);
});

Deno.test("planted: nobody imports the scheduler, the tests or the chat page, and unknown folders are named", async () => {
  const modules = await plant({
    "main.ts": `import "./lib/scheduler/a.ts";`,
    "lib/scheduler/a.ts": A,
    "lib/admin/a.ts": `import "../scheduler/a.ts";`,
    "agent/serve/page/a.ts": A,
    "agent/serve/a.ts": `import "./page/a.ts";\nimport "../../tests/a.ts";`,
    "tests/a.ts": `import "../main.ts";`,
    "extra/a.ts": A,
  });
  assertEquals(checkImports(modules, TABLE), [
    "agent/serve/a.ts imports agent/serve/page/a.ts, but agent may not import agent/serve/page.",
    "agent/serve/a.ts imports tests/a.ts, but agent may not import tests.",
    "extra/a.ts is in no folder of the table.",
    "lib/admin/a.ts imports lib/scheduler/a.ts, but lib/admin may not import lib/scheduler.",
  ]);
});

Deno.test("planted: an island that reaches a Deno API, a Node module or a foreign package is caught", async () => {
  const modules = await plant({
    "islands/A.tsx":
      `import "../lib/ui/a.ts";\nimport { signal } from "@preact/signals";\nimport { Hono } from "hono";\n` +
      `export default () => <p>{signal(String(Hono))}</p>;`,
    "lib/ui/a.ts": `import "../log.ts";\nimport type { B } from "../types.ts";\nexport type C = B;`,
    "lib/log.ts": `import "node:fs";\nDeno.stderr;`,
    "lib/types.ts": `export type B = string;\nDeno.pid;`,
  });
  assertEquals(checkBrowser(modules, TABLE).sort(), [
    "islands/A.tsx brings hono to a browser.",
    "islands/A.tsx → lib/ui/a.ts → lib/log.ts brings node:fs to a browser.",
    "islands/A.tsx → lib/ui/a.ts → lib/log.ts uses Deno.stderr in a browser.",
  ]);
});

Deno.test("planted: KV outside the store and the environment outside the config are caught", async () => {
  const modules = await plant({
    "lib/config.ts": `Deno.env.get("A");`,
    "lib/store/a.ts": `export const kv: Promise<Deno.Kv> = Deno.openKv(":memory:");`,
    "lib/tasks/a.ts": `export type K = Deno.AtomicOperation;\n// Deno.openKv in a comment\nconst { env } = Deno;\nenv;`,
    "routes/a.ts": `globalThis.Deno.env.get("A");`,
  });
  assertEquals(checkDenoNames(modules, TABLE).map((sentence) => sentence.replace(/, which.*/, "")), [
    "lib/tasks/a.ts uses Deno",
    "routes/a.ts uses Deno",
    "lib/tasks/a.ts uses Deno",
    "lib/tasks/a.ts uses Deno.AtomicOperation",
    "routes/a.ts uses Deno",
  ]);
});

Deno.test("planted: folders in a circle are caught, a circle of types is none", async () => {
  const modules = await plant({
    "lib/a/x.ts": `import "../b/x.ts";`,
    "lib/b/x.ts": `import "../c/x.ts";`,
    "lib/c/x.ts": `import "../a/x.ts";`,
    "lib/d/x.ts": `import type { A } from "../e/x.ts";\nexport type B = A;`,
    "lib/e/x.ts": `import "../d/x.ts";\n${A}`,
  });
  assertEquals(
    checkCycles(modules),
    ["a", "b", "c"].map((name) => `lib/${name} imports itself by way of other folders.`),
  );
});

Deno.test("planted: a long file, a silent file and a file named utils are caught", async () => {
  const modules = await plant({
    "lib/long.ts": "// Long.\n".repeat(401),
    "lib/silent.ts": A,
    "lib/utils.ts": `// Everything else.\n${A}`,
    "tests/a_test.ts": "1;\n".repeat(500),
  });
  assertEquals(checkFiles(modules, TABLE), [
    "lib/long.ts has 401 lines; 400 is the most.",
    "lib/silent.ts does not begin with what it is.",
    "lib/utils.ts is not named for what it is.",
  ]);
});
