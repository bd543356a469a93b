/**
 * A whole HTML document around a page: head with styles and preloads of exactly the chunks that its islands need,
 * body, the islands' props, and the entry script. Fits a policy that allows own files and one nonce, nothing inline.
 */
import { type ComponentChild, h } from "preact";
import { renderToString } from "preact-render-to-string";
import { Collector, type IslandList, type IslandUse, registerIslands } from "./island.ts";
import type { Manifest } from "./manifest.ts";

export interface PageOptions {
  nonce: string;
  title: string;
  manifest: Manifest;
  islands: IslandList;
}

/**
 * `vnode` as a document. Its components make their islands while they render; an island's vnode made before the first
 * call is not seen. The same input gives the same output; nothing is kept between calls.
 */
export function renderPage(vnode: ComponentChild, { nonce, title, manifest, islands }: PageOptions): string {
  registerIslands(islands);
  const uses: IslandUse[] = [];
  const body = renderToString(h(Collector.Provider, { value: uses }, vnode));
  return `<!doctype html><html lang="en"><head>${headOf(title, manifest, uses)}</head><body>${body}` +
    `${scriptsOf(uses, manifest, nonce)}</body></html>`;
}

function headOf(title: string, manifest: Manifest, uses: IslandUse[]): string {
  return `<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">` +
    `<meta name="color-scheme" content="light dark"><title>${escapeHtml(title)}</title>` +
    `<link rel="icon" type="image/svg+xml" href="${escapeHtml(manifest.icon)}">` +
    `<link rel="stylesheet" href="${escapeHtml(manifest.stylesheet)}">` +
    preloadsOf(uses, manifest).map((url) => `<link rel="modulepreload" href="${escapeHtml(url)}">`).join("");
}

function preloadsOf(uses: IslandUse[], manifest: Manifest): string[] {
  if (uses.length === 0) return [];
  const islands = uses.flatMap((use) => manifest.islands[use.name] ?? []);
  return [...new Set([...manifest.preloads, ...islands])];
}

function scriptsOf(uses: IslandUse[], manifest: Manifest, nonce: string): string {
  if (uses.length === 0) return "";
  return `<script type="application/json" id="island-props" nonce="${escapeHtml(nonce)}">${scriptJson(uses)}</script>` +
    `<script type="module" src="${escapeHtml(manifest.entry)}" nonce="${escapeHtml(nonce)}"></script>`;
}

/** JSON that cannot end the script element it stands in, nor open a comment there. */
function scriptJson(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c");
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
