/**
 * Builds the page's files: islands and their entry with shared chunks, the stylesheet, and the static files, all
 * named by content hash, compressed beforehand, and listed in a manifest. `watchIslands` does the same on change.
 */
import * as esbuild from "esbuild";
import { resolve } from "node:path";
import { browserZod } from "./browser_zod.ts";
import { emitFiles } from "./emit.ts";
import type { Manifest } from "./manifest.ts";

const TARGET = ["chrome123", "firefox120", "safari17.5"];
const ENTRY = "hearth:entry";

/** Folders and files below the root, as `fresh.config.ts` names them; the output may lie anywhere. */
export interface BuildConfig {
  islands: string;
  static: string;
  stylesheet: string;
  output: string;
}

export interface BuildOptions {
  /** Absolute path of the folder in which the configured paths stand. */
  root: string;
  config: BuildConfig;
  /** Names of the islands; each is the default export of `<islands>/<Name>.tsx`. */
  islands: readonly string[];
  /** Readable, with source maps and uncompressed. */
  dev?: boolean;
}

/** Builds everything once into the output folder. Throws when a source does not compile. */
export async function buildIslands(options: BuildOptions): Promise<Manifest> {
  return await emitFiles(await esbuild.build(settingsOf(options)), options);
}

/** Ends the bundler's process, which otherwise waits for the next build until this program ends. */
export async function stopBuilder(): Promise<void> {
  await esbuild.stop();
}

export interface Watching extends AsyncDisposable {
  /** The manifest of the last build that succeeded. */
  manifest(): Manifest;
}

/** Builds now and again whenever a source changes; a broken source leaves the last good build in place. */
export async function watchIslands(options: BuildOptions, onBuild: (errors: string[]) => void): Promise<Watching> {
  let current: Manifest | undefined;
  const first = Promise.withResolvers<void>();
  const emit: esbuild.Plugin = {
    name: "emit",
    setup(build) {
      build.onEnd(async (result) => {
        if (result.errors.length === 0) current = await emitFiles(result, options);
        onBuild(result.errors.map((error) => error.text));
        if (current) first.resolve();
        else first.reject(new Error(result.errors.map((error) => error.text).join("\n")));
      });
    },
  };
  const settings = settingsOf({ ...options, dev: true });
  const context = await esbuild.context({ ...settings, plugins: [...settings.plugins, emit] });
  try {
    await context.watch();
    await first.promise;
  } catch (error) {
    await context.dispose();
    throw error;
  }
  return { manifest: () => current!, [Symbol.asyncDispose]: () => context.dispose() };
}

function settingsOf({ root, config, islands, dev = false }: BuildOptions) {
  return {
    absWorkingDir: root,
    entryPoints: [{ in: ENTRY, out: "entry" }, { in: `./${config.stylesheet}`, out: "app" }],
    outdir: resolve(root, config.output, "assets"),
    bundle: true,
    splitting: true,
    format: "esm",
    write: false,
    metafile: true,
    minify: !dev,
    sourcemap: dev ? "inline" : false,
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
    target: TARGET,
    jsx: "automatic",
    jsxImportSource: "preact",
    // The repository's own settings are Deno's and name a transform that only Deno has.
    tsconfigRaw: { compilerOptions: { jsx: "react-jsx", jsxImportSource: "preact" } },
    legalComments: "none",
    logLevel: "silent",
    plugins: [entryPlugin(root, config.islands, islands), browserZod()],
  } satisfies esbuild.BuildOptions;
}

/** The entry exists only in memory: it names a loader per island for `revive`. */
function entryPlugin(root: string, folder: string, islands: readonly string[]): esbuild.Plugin {
  const loaders = islands.map((name) => `${JSON.stringify(name)}: () => import("./${folder}/${name}.tsx")`);
  const contents = `import { revive } from "./lib/render/client.ts";\nrevive({\n${loaders.join(",\n")}\n});\n`;
  return {
    name: "entry",
    setup(build) {
      build.onResolve({ filter: /^hearth:entry$/ }, () => ({ path: ENTRY, namespace: "hearth" }));
      build.onLoad({ filter: /.*/, namespace: "hearth" }, () => ({ contents, resolveDir: root, loader: "ts" }));
    },
  };
}
