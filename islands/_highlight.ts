/**
 * Colours for code, by language. The highlighter and each language are loaded when a text first uses them; code in any
 * other language stays plain.
 */
import type { HLJSApi, LanguageFn } from "highlight.js";

/** Longer pieces would hold up the page for longer than a frame. */
const COLOURED_MAX = 20_000;

type Load = () => Promise<{ default: LanguageFn }>;
const LANGUAGES: Readonly<Record<string, Load>> = {
  bash: () => import("highlight.js/lib/languages/bash"),
  c: () => import("highlight.js/lib/languages/c"),
  cpp: () => import("highlight.js/lib/languages/cpp"),
  csharp: () => import("highlight.js/lib/languages/csharp"),
  css: () => import("highlight.js/lib/languages/css"),
  diff: () => import("highlight.js/lib/languages/diff"),
  dockerfile: () => import("highlight.js/lib/languages/dockerfile"),
  go: () => import("highlight.js/lib/languages/go"),
  ini: () => import("highlight.js/lib/languages/ini"),
  java: () => import("highlight.js/lib/languages/java"),
  javascript: () => import("highlight.js/lib/languages/javascript"),
  json: () => import("highlight.js/lib/languages/json"),
  kotlin: () => import("highlight.js/lib/languages/kotlin"),
  markdown: () => import("highlight.js/lib/languages/markdown"),
  php: () => import("highlight.js/lib/languages/php"),
  python: () => import("highlight.js/lib/languages/python"),
  ruby: () => import("highlight.js/lib/languages/ruby"),
  rust: () => import("highlight.js/lib/languages/rust"),
  sql: () => import("highlight.js/lib/languages/sql"),
  swift: () => import("highlight.js/lib/languages/swift"),
  typescript: () => import("highlight.js/lib/languages/typescript"),
  xml: () => import("highlight.js/lib/languages/xml"),
  yaml: () => import("highlight.js/lib/languages/yaml"),
};
const ALIASES: Readonly<Record<string, string>> = {
  ...{ sh: "bash", shell: "bash", zsh: "bash", console: "bash", h: "c", "c++": "cpp", hpp: "cpp", cs: "csharp" },
  ...{ patch: "diff", docker: "dockerfile", golang: "go", toml: "ini", js: "javascript", jsx: "javascript" },
  ...{ mjs: "javascript", jsonc: "json", kt: "kotlin", md: "markdown", py: "python", rb: "ruby", rs: "rust" },
  ...{ ts: "typescript", tsx: "typescript", html: "xml", svg: "xml", yml: "yaml" },
};

let highlighter: Promise<HLJSApi> | undefined;
/** The highlighter with a language, for those that are loaded: then colours come with the text. */
const ready = new Map<string, HLJSApi>();

/** Sanitised nodes for what the highlighter wrote. */
export type ToNodes = (html: string) => DocumentFragment;

interface Painting {
  api: HLJSApi;
  language: string;
  toNodes: ToNodes;
}

/** Colours the text of `code`; at once when the language `name` is loaded, else when it is. */
export function highlight(code: HTMLElement, { name, toNodes }: { name: string; toNodes: ToNodes }): void {
  const text = code.textContent ?? "";
  const language = ALIASES[name.toLowerCase()] ?? name.toLowerCase();
  if (text.length > COLOURED_MAX || !Object.hasOwn(LANGUAGES, language)) return;
  const known = ready.get(language);
  if (known) return paint(code, { api: known, language, toNodes });
  // Without colours the code is as readable as before.
  void load(language).then((api) => paint(code, { api, language, toNodes }), () => {});
}

async function load(language: string): Promise<HLJSApi> {
  highlighter ??= import("highlight.js/lib/core").then((module) => module.default);
  const [api, definition] = await Promise.all([highlighter, LANGUAGES[language]!()]);
  api.configure({ classPrefix: "hl-" });
  api.registerLanguage(language, definition.default);
  ready.set(language, api);
  return api;
}

function paint(code: HTMLElement, { api, language, toNodes }: Painting): void {
  code.replaceChildren(toNodes(api.highlight(code.textContent ?? "", { language, ignoreIllegals: true }).value));
}
