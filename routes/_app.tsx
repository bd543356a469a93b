/** The frame of every page: turns a page into a whole document with this product's title, styles and islands. */
import type { ComponentChild } from "preact";
import type { Manifest } from "../lib/render/manifest.ts";
import { renderPage } from "../lib/render/page.ts";
import { islands } from "./_islands.ts";

export interface AppOptions {
  /** The nonce of this answer's Content-Security-Policy. */
  nonce: string;
  title: string;
  manifest: Manifest;
}

/** `page` as an HTML document. */
export function renderApp(page: ComponentChild, { nonce, title, manifest }: AppOptions): string {
  return renderPage(page, { nonce, manifest, islands, title: title === "Hearth" ? title : `${title} · Hearth` });
}
