/**
 * The page's files as a server needs them: built at the start (and again on change while developing), or taken as the
 * build step left them where nothing can be written.
 */
import { resolve } from "node:path";
import type { BuildConfig } from "./build.ts";
import { loadManifest, type Manifest } from "./manifest.ts";
import { createStatic } from "./static.ts";

export interface PageFilesOptions {
  root: string;
  config: BuildConfig;
  islands: string[];
  watch?: boolean;
  /** Use what was built before; nothing is built. */
  fixed?: boolean;
}

export interface PageFiles extends AsyncDisposable {
  manifest: () => Manifest;
  /** Answers requests for built and static files, null for all others. */
  serve: (request: Request) => Promise<Response | null>;
}

export async function createPageFiles(options: PageFilesOptions): Promise<PageFiles> {
  const { root, config, islands } = options;
  const output = resolve(root, config.output);
  if (options.fixed) return serveBuilt(await loadManifest(output), output);
  // The bundler is loaded only where something is built: it is not there on the hosted platform.
  const { buildIslands, stopBuilder, watchIslands } = await import("./build.ts");
  if (options.watch) {
    const watching = await watchIslands({ root, config, islands }, () => {});
    const manifest = () => watching.manifest();
    return {
      manifest,
      serve: createStatic({ output, manifest }),
      async [Symbol.asyncDispose]() {
        await watching[Symbol.asyncDispose]();
        await stopBuilder();
      },
    };
  }
  const built = await buildIslands({ root, config, islands });
  await stopBuilder();
  return serveBuilt(built, output);
}

function serveBuilt(built: Manifest, output: string): PageFiles {
  const manifest = () => built;
  return { manifest, serve: createStatic({ output, manifest }), [Symbol.asyncDispose]: () => Promise.resolve() };
}
