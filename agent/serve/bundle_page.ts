/**
 * Bundles the chat page and its stylesheet. Run as a program it prints them as JSON, for the packed agent, which has
 * no bundler with it.
 */
import type { PageBundle } from "./page_files.ts";

const TARGET = ["chrome123", "firefox120", "safari17.5"];

if (import.meta.main) {
  const bytes = new TextEncoder().encode(JSON.stringify(await bundlePage()));
  for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
}

/** Script, stylesheet and icon of the page. Throws when a source does not compile. */
export async function bundlePage(): Promise<PageBundle> {
  // Loaded here, so that the packed program does not need the bundler to start.
  const { build, stop } = await import("esbuild");
  const root = new URL("../../", import.meta.url).pathname;
  try {
    const { outputFiles } = await build({
      absWorkingDir: root,
      entryPoints: [
        { in: "./agent/serve/page/main.tsx", out: "page" },
        { in: "./static/app.css", out: "app" },
        { in: "./agent/serve/page/page.css", out: "own" },
      ],
      outdir: `${root}dist/page`,
      bundle: true,
      write: false,
      format: "esm",
      platform: "browser",
      minify: true,
      target: TARGET,
      jsx: "automatic",
      jsxImportSource: "preact",
      // The repository's own settings are Deno's and name a transform that only Deno has.
      tsconfigRaw: { compilerOptions: { jsx: "react-jsx", jsxImportSource: "preact" } },
      legalComments: "none",
      logLevel: "silent",
    });
    const textOf = (name: string) => outputFiles.find(({ path }) => path.endsWith(`/${name}`))?.text ?? "";
    const style = textOf("app.css") + textOf("own.css");
    return { script: textOf("page.js"), style, icon: await Deno.readTextFile(`${root}static/favicon.svg`) };
  } finally {
    await stop();
  }
}
