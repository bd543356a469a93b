/**
 * Writes a finished bundle and the static files into the output folder and describes them in the manifest. Names are
 * hashes of the content; text is also written compressed, because it is served far more often than it is built.
 */
import type { BuildOptions } from "./build.ts";
import type { BuildResult, Metafile } from "esbuild";
import { resolve } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { Manifest, ServedFile } from "./manifest.ts";

const TYPES: Record<string, string> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  png: "image/png",
  ico: "image/x-icon",
  txt: "text/plain; charset=utf-8",
  webmanifest: "application/manifest+json",
  woff2: "font/woff2",
};
const COMPRESSED = new Set(["js", "css", "svg", "txt", "webmanifest"]);
/** Below this a compressed copy saves nothing. */
const COMPRESS_MIN_BYTES = 512;

type Bundle = BuildResult<{ write: false; metafile: true }>;

export async function emitFiles(result: BuildResult, options: BuildOptions): Promise<Manifest> {
  const { outputFiles, metafile } = result as Bundle;
  const output = resolve(options.root, options.config.output);
  if (!options.dev) await Deno.remove(`${output}/assets`, { recursive: true }).catch(ignoreMissing);
  await Deno.mkdir(`${output}/assets`, { recursive: true });
  const files: Record<string, ServedFile> = {};
  for (const file of outputFiles) {
    const name = file.path.slice(file.path.lastIndexOf("/") + 1);
    files[`/assets/${name}`] = await writeFile(output, name, { bytes: file.contents, dev: options.dev });
  }
  const icon = await addStatic(files, output, options);
  const manifest = { version: 1 as const, ...addressesOf(metafile, options), icon, files };
  await replaceFile(`${output}/manifest.json`, JSON.stringify(manifest, null, 2));
  return manifest;
}

/** Copies every static file but the stylesheet's sources; returns the hashed address of the icon. */
async function addStatic(files: Record<string, ServedFile>, output: string, options: BuildOptions): Promise<string> {
  const folder = `${options.root}/${options.config.static}`;
  let icon = "";
  for await (const entry of Deno.readDir(folder)) {
    if (!entry.isFile || entry.name.endsWith(".css")) continue;
    const bytes = await Deno.readFile(`${folder}/${entry.name}`);
    const dot = entry.name.lastIndexOf(".");
    const name = `${entry.name.slice(0, dot)}-${(await hashOf(bytes)).slice(0, 8)}${entry.name.slice(dot)}`;
    const file = await writeFile(output, name, { bytes, dev: options.dev });
    files[`/assets/${name}`] = file;
    files[`/${entry.name}`] = { ...file, immutable: false };
    if (entry.name === "favicon.svg") icon = `/assets/${name}`;
  }
  return icon;
}

async function writeFile(
  output: string,
  name: string,
  { bytes, dev = false }: { bytes: Uint8Array; dev?: boolean },
): Promise<ServedFile> {
  const extension = name.slice(name.lastIndexOf(".") + 1);
  const path = `${output}/assets/${name}`;
  await Deno.writeFile(path, bytes);
  const compress = !dev && COMPRESSED.has(extension) && bytes.length >= COMPRESS_MIN_BYTES;
  if (compress) {
    await Deno.writeFile(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
    await Deno.writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  }
  return {
    file: `assets/${name}`,
    type: TYPES[extension] ?? "application/octet-stream",
    etag: `"${(await hashOf(bytes)).slice(0, 20)}"`,
    immutable: true,
    encodings: compress ? ["br", "gzip"] : [],
  };
}

function addressesOf(metafile: Metafile, { config, islands }: BuildOptions) {
  const outputs = metafile.outputs;
  const addressOf = (path: string) => `/assets/${path.slice(path.lastIndexOf("/") + 1)}`;
  const find = (entryPoint: string) => {
    const found = Object.keys(outputs).find((path) => outputs[path]?.entryPoint === entryPoint);
    if (!found) throw new Error(`The build has no output for ${entryPoint}.`);
    return found;
  };
  const entry = find("hearth:hearth:entry");
  const chunksOf = (path: string) => staticImports(outputs, path).map(addressOf);
  return {
    entry: addressOf(entry),
    stylesheet: addressOf(find(config.stylesheet)),
    preloads: chunksOf(entry),
    islands: Object.fromEntries(islands.map((name) => [name, chunksOf(find(`${config.islands}/${name}.tsx`))])),
  };
}

/** `path` and every output that it imports before it can run. */
function staticImports(outputs: Metafile["outputs"], path: string, seen = new Set<string>()): string[] {
  if (!seen.has(path)) {
    seen.add(path);
    for (const { path: next, kind } of outputs[path]?.imports ?? []) {
      if (kind === "import-statement" && outputs[next]) staticImports(outputs, next, seen);
    }
  }
  return [...seen];
}

/** A reader never sees half a manifest. */
async function replaceFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(`${path}.new`, text);
  await Deno.rename(`${path}.new`, path);
}

async function hashOf(bytes: Uint8Array): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes))).toHex();
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}
