/**
 * The agent as one JavaScript file, and the database addon that lies beside it. The addon's package picks its file
 * by a computed `require`, which no bundler can follow: it is rewritten here, and the build stops if that place in
 * the package no longer looks as it did, rather than making a file that fails on somebody's machine.
 */
import { build, type Plugin, stop } from "esbuild";
import { createRequire } from "node:module";

export const ADDON_NAME = "libsql.node";
/** The chat engine's page, bundled beforehand: the program has no bundler with it. */
export const PAGE_NAME = "page.json";
const PAGE_BUNDLER = new URL("../serve/bundle_page.ts", import.meta.url).pathname;
const COMPUTED_REQUIRE = "return require(`@libsql/${target}`);";

/** Packages in CommonJS ask for `require`, which a module has to make for itself. */
const BANNER = `import { createRequire as createRequireOfBundle } from "node:module";
const require = createRequireOfBundle(import.meta.url);`;

/** The bundle of the program that `entry` (a path) starts. */
export async function bundleAgent(entry: string): Promise<Uint8Array> {
  try {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: "esm",
      platform: "node",
      conditions: ["deno"],
      external: ["esbuild"],
      target: "esnext",
      banner: { js: BANNER },
      jsx: "automatic",
      jsxImportSource: "preact",
      legalComments: "eof",
      logLevel: "silent",
      plugins: [besideTheBundle],
    });
    return outputFiles[0]!.contents;
  } finally {
    await stop();
  }
}

/** The chat engine's page as the program reads it. Throws when it does not compile. */
export async function bundlePage(): Promise<Uint8Array> {
  const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", PAGE_BUNDLER], stdin: "null" });
  const { success, stdout, stderr } = await command.output();
  if (!success) throw new Error(`The chat page could not be bundled: ${new TextDecoder().decode(stderr)}`);
  return stdout;
}

const besideTheBundle: Plugin = {
  name: "addon beside the bundle",
  setup(hooks) {
    hooks.onResolve({ filter: /^\.\/libsql\.node$/ }, ({ path }) => ({ path, external: true }));
    hooks.onLoad({ filter: /[\\/]libsql[\\/]index\.js$/ }, async ({ path }) => ({
      contents: rewriteRequire(await Deno.readTextFile(path)),
      loader: "js",
    }));
    hooks.onEnd(({ outputFiles }) => {
      const isRewritten = outputFiles?.some(({ text }) => text.includes(`"./${ADDON_NAME}"`));
      if (!isRewritten) throw new Error("libsql's index.js is not in the bundle: the addon would not be found.");
    });
  },
};

/** `text` of libsql's index.js, requiring the addon from beside the bundle. Throws where it does not know the text. */
export function rewriteRequire(text: string): string {
  if (text.split(COMPUTED_REQUIRE).length !== 2) {
    throw new Error(`libsql's index.js does not hold "${COMPUTED_REQUIRE}" exactly once: adapt agent/pack/bundle.ts.`);
  }
  return text.replace(COMPUTED_REQUIRE, `return require("./${ADDON_NAME}");`);
}

/** The path of the addon for this machine, found the way the packages find each other. */
export function findAddon(): string {
  const client = createRequire(import.meta.url).resolve("@libsql/client");
  const libsql = createRequire(client).resolve("libsql");
  const cpu = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  const target = Deno.build.os === "linux" ? `linux-${cpu}-gnu` : `${Deno.build.os}-${cpu}`;
  return createRequire(libsql).resolve(`@libsql/${target}`);
}
