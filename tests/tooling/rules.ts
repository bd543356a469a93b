/** The rules of the architecture over a module graph: pure functions that return one sentence per violation. */
import type { Import, Module } from "./graph.ts";

export interface Row {
  /** Folders and files that may be imported, besides the folder itself and the ground floor. */
  imports: string[];
  /** The same, for types only. */
  types?: string[];
  /** Where set, only these may import the folder, whatever their own rows say. */
  onlyBy?: string[];
}

export interface Table {
  /** By folder or file; the longest that fits a path is the path's own. */
  rows: Record<string, Row>;
  /** Code that runs in a browser, and the npm packages that it may bring along. */
  browser: { folders: string[]; npm: string[] };
  /** Parts of the `Deno` namespace, and the only folders or files that may name them. */
  denoNames: { pattern: RegExp; onlyIn: string[] }[];
  /** Lines of a file. */
  linesMax: { code: number; tests: number };
}

/** In `imports`: everything but the folders that say `onlyBy`. */
export const EVERYTHING = "*";
export const GROUND_FLOOR = "lib/*.ts";

/** Imports that the table does not allow, and files that it does not know. */
export function checkImports(modules: Module[], table: Table): string[] {
  return modules.flatMap((module) => {
    const home = homeOf(module.path, table);
    if (!home) return [`${module.path} is in no folder of the table.`];
    return module.imports.map((found) => judgeImport(module, found, table)).filter((sentence) =>
      sentence !== undefined
    );
  });
}

function judgeImport({ path }: Module, found: Import, table: Table): string | undefined {
  if (found.kind === "unresolved") return `${path} imports ${found.target}, which is not there or not allowed.`;
  if (found.kind !== "file") return undefined;
  const from = homeOf(path, table)!;
  const to = homeOf(found.target, table);
  if (to && isAllowed(from, to, { table, isType: found.isType })) return undefined;
  return `${path} imports ${found.target}, but ${from} may not import ${to ?? "that"}.`;
}

function isAllowed(from: string, to: string, { table, isType }: { table: Table; isType: boolean }): boolean {
  if (from === to) return true;
  const { onlyBy } = table.rows[to]!;
  if (onlyBy) return onlyBy.includes(from);
  const row = table.rows[from]!;
  const allowed = [...row.imports, ...isType ? row.types ?? [] : []];
  return to === GROUND_FLOOR || allowed.includes(EVERYTHING) || allowed.includes(to);
}

/** The row that a path belongs to: the longest that fits, the ground floor last. */
function homeOf(path: string, table: Table): string | undefined {
  const fitting = Object.keys(table.rows).filter((home) => isIn(path, home));
  const longest = fitting.sort((a, b) => b.length - a.length)[0];
  return longest ?? (/^lib\/[^/]+$/.test(path) && GROUND_FLOOR in table.rows ? GROUND_FLOOR : undefined);
}

function isIn(path: string, home: string): boolean {
  return path === home || path.startsWith(`${home}/`);
}

/** What a browser would get and cannot run or should not load, with the way it got there. */
export function checkBrowser(modules: Module[], table: Table): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const starts = modules.filter(({ path }) => table.browser.folders.some((folder) => isIn(path, folder)));
  const wayTo = new Map(starts.map(({ path }) => [path, path]));
  const sentences: string[] = [];
  for (const [path, way] of wayTo) {
    const module = byPath.get(path);
    if (!module) continue;
    if (module.denoNames.length > 0) sentences.push(`${way} uses ${module.denoNames.join(", ")} in a browser.`);
    for (const { target, kind, isType } of module.imports) {
      if (isType) continue;
      if (kind === "file" && !wayTo.has(target)) wayTo.set(target, `${way} → ${target}`);
      if (kind === "builtin") sentences.push(`${way} brings ${target} to a browser.`);
      if (kind === "npm" && !table.browser.npm.includes(target)) {
        sentences.push(`${way} brings ${target} to a browser.`);
      }
    }
  }
  return sentences;
}

/** Parts of the `Deno` namespace that are used where they may not be. */
export function checkDenoNames(modules: Module[], table: Table): string[] {
  return table.denoNames.flatMap(({ pattern, onlyIn }) =>
    modules.filter(({ path }) => !onlyIn.some((home) => isIn(path, home))).flatMap(({ path, denoNames }) =>
      denoNames.filter((name) => name === "Deno" || pattern.test(name)).map((name) =>
        `${path} uses ${name}, which belongs to ${onlyIn.join(", ")}.`
      )
    )
  );
}

/** Folders of lib that import each other in a circle at run time. */
export function checkCycles(modules: Module[]): string[] {
  const edges = new Map<string, Set<string>>();
  for (const { path, imports } of modules) {
    for (const { target, kind, isType } of imports) {
      const [from, to] = [libFolder(path), libFolder(target)];
      if (kind !== "file" || isType || !from || !to || from === to) continue;
      edges.set(from, (edges.get(from) ?? new Set()).add(to));
    }
  }
  return [...edges.keys()].filter((folder) => reaches(folder, folder, edges)).sort().map((folder) =>
    `${folder} imports itself by way of other folders.`
  );
}

function libFolder(path: string): string | undefined {
  return path.match(/^lib\/[^/]+(?=\/)/)?.[0];
}

function reaches(from: string, goal: string, edges: Map<string, Set<string>>): boolean {
  const seen = new Set<string>();
  const next = [from];
  for (let folder = next.pop(); folder; folder = next.pop()) {
    for (const to of edges.get(folder) ?? []) {
      if (to === goal) return true;
      if (!seen.has(to)) next.push(to);
      seen.add(to);
    }
  }
  return false;
}

/** Files that are too long, that say nothing at their start, or whose name says nothing. */
export function checkFiles(modules: Module[], table: Table): string[] {
  return modules.flatMap(({ path, text }) => {
    const lines = text.split("\n").length - 1;
    const most = isIn(path, "tests") ? table.linesMax.tests : table.linesMax.code;
    const sentences = [];
    if (lines > most) sentences.push(`${path} has ${lines} lines; ${most} is the most.`);
    if (/(^|\/)(index|utils?|helpers?|misc)\.tsx?$/.test(path)) {
      sentences.push(`${path} is not named for what it is.`);
    }
    if (!/_test\.tsx?$/.test(path) && !/^\/[/*]/.test(text)) {
      sentences.push(`${path} does not begin with what it is.`);
    }
    return sentences;
  });
}
