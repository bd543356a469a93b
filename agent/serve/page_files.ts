/**
 * The page's files, as they are served: from `page.json` beside the packed program, or bundled now from the source.
 */
import { z } from "zod";

export interface PageFile {
  text: string;
  headers: Record<string, string>;
}
export type PageFiles = ReadonlyMap<string, PageFile>;

/** What the bundler makes, and the packed program carries. */
const pageBundle = z.object({ script: z.string(), style: z.string(), icon: z.string() });
export type PageBundle = z.infer<typeof pageBundle>;

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const COMMON = { "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-cache" };

const HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hearth chat</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript.</noscript>
<script type="module" src="/assets/page.js"></script>
</body>
</html>
`;

/** The files by their paths. Throws when the page cannot be bundled. */
export async function loadPage(): Promise<PageFiles> {
  const { script, style, icon } = await readPacked() ?? await bundleNow();
  const file = (text: string, type: string): PageFile => ({ text, headers: { ...COMMON, "content-type": type } });
  const html = file(HTML, "text/html; charset=utf-8");
  return new Map([
    ["/", { ...html, headers: { ...html.headers, "content-security-policy": POLICY } }],
    ["/assets/page.js", file(script, "text/javascript; charset=utf-8")],
    ["/assets/page.css", file(style, "text/css; charset=utf-8")],
    ["/assets/icon.svg", file(icon, "image/svg+xml")],
  ]);
}

async function readPacked(): Promise<PageBundle | null> {
  try {
    return pageBundle.parse(JSON.parse(await Deno.readTextFile(new URL("page.json", import.meta.url))));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

async function bundleNow(): Promise<PageBundle> {
  const { bundlePage } = await import("./bundle_page.ts");
  return await bundlePage();
}
