/**
 * The source files below a folder as `deno info` sees them: what each imports, whether only for types, and which
 * parts of the `Deno` namespace it names. The parsers are Deno's own, so nothing is guessed from text.
 */
import { z } from "zod";

export interface Import {
  /** A path from the root, an npm package, or a `node:` module. */
  target: string;
  kind: "file" | "npm" | "builtin" | "unresolved";
  isType: boolean;
}

export interface Module {
  /** From the root, with slashes. */
  path: string;
  text: string;
  imports: Import[];
  /** `Deno.env`, `Deno.openKv` …; `Deno` alone where the namespace is used as a value. */
  denoNames: string[];
}

const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
const SKIPPED = new Set(["node_modules", "data", "dist", "_fresh", "coverage", "output"]);

const reference = z.object({ specifier: z.string().optional(), error: z.string().optional() });
const graph = z.object({
  modules: z.array(z.object({
    specifier: z.string(),
    dependencies: z.array(z.object({ specifier: z.string(), code: reference.optional(), type: reference.optional() }))
      .default([]),
  })),
});
type Dependency = z.infer<typeof graph>["modules"][number]["dependencies"][number];

/** Every TypeScript file below `root`, an absolute path without a slash at its end. */
export async function readModules(root: string): Promise<Module[]> {
  const paths = (await listSources(root)).sort();
  const dependencies = await readDependencies(root, paths);
  return await Promise.all(paths.map(async (path) => {
    const text = await Deno.readTextFile(`${root}/${path}`);
    const imports = (dependencies.get(`file://${root}/${path}`) ?? []).map((found) => toImport(found, root));
    return { path, text, imports, denoNames: findDenoNames(path, text) };
  }));
}

async function listSources(root: string, folder = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(`${root}/${folder}`)) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory && !SKIPPED.has(entry.name) && !entry.name.startsWith(".")) {
      paths.push(...await listSources(root, `${path}/`));
    }
    if (entry.isFile && /\.tsx?$/.test(entry.name)) paths.push(path);
  }
  return paths;
}

/** One call of `deno info` for all: `deno info` takes one file, so it gets one that imports them. */
async function readDependencies(root: string, paths: string[]): Promise<Map<string, Dependency[]>> {
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, paths.map((path) => `import "file://${root}/${path}";\n`).join(""));
    const command = new Deno.Command(Deno.execPath(), { args: ["info", "--json", "--config", CONFIG, entry] });
    const { code, stdout, stderr } = await command.output();
    if (code !== 0) throw new Error(`deno info failed: ${new TextDecoder().decode(stderr)}`);
    const { modules } = graph.parse(JSON.parse(new TextDecoder().decode(stdout)));
    return new Map(modules.map((module) => [module.specifier, module.dependencies]));
  } finally {
    await Deno.remove(entry);
  }
}

function toImport({ specifier: written, code, type }: Dependency, root: string): Import {
  const isType = code === undefined;
  const target = (code ?? type)?.specifier;
  if (target === undefined) return { target: written, kind: "unresolved", isType };
  if (target.startsWith(`file://${root}/`)) return { target: target.slice(root.length + 8), kind: "file", isType };
  const npm = target.match(/^npm:\/?((?:@[^/]+\/)?[^@/]+)/);
  if (npm) return { target: npm[1]!, kind: "npm", isType };
  return { target, kind: target.startsWith("node:") ? "builtin" : "unresolved", isType };
}

function findDenoNames(path: string, text: string): string[] {
  const names = new Set<string>();
  const plugin: Deno.lint.Plugin = {
    name: "architecture",
    rules: { "deno-names": { create: () => ({ Identifier: (node) => void collect(node, names) }) } },
  };
  Deno.lint.runPlugin(plugin, path, text);
  return [...names].sort();
}

function collect(node: Deno.lint.Identifier, names: Set<string>): void {
  if (node.name !== "Deno") return;
  const parent = node.parent;
  if (parent.type === "MemberExpression" && parent.object === node && parent.property.type === "Identifier") {
    names.add(`Deno.${parent.property.name}`);
  } else if (parent.type === "TSQualifiedName" && parent.left === node) {
    names.add(`Deno.${parent.right.name}`);
  } else {
    names.add("Deno");
  }
}
