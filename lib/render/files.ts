/**
 * The page's files as a server needs them: built at the start (and again on change while developing), or taken as the
 * build step left them where nothing can be written.
 */
import { type BuildConfig, buildIslands, watchIslands } from "./build.ts";
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
  const output = `${root}/${config.output}`;
  if (options.watch) {
    const watching = await watchIslands({ root, config, islands }, () => {});
    const manifest = () => watching.manifest();
    return {
      manifest,
      serve: createStatic({ output, manifest }),
      [Symbol.asyncDispose]: () => watching[Symbol.asyncDispose](),
    };
  }
  const built = options.fixed ? await loadManifest(output) : await buildIslands({ root, config, islands });
  const manifest = () => built;
  return { manifest, serve: createStatic({ output, manifest }), [Symbol.asyncDispose]: () => Promise.resolve() };
}
