/**
 * Serves what the build wrote. Only addresses in the manifest exist, so no address is ever turned into a path;
 * hashed ones may be kept for ever, the others are asked for again with their ETag.
 */
import type { Manifest, ServedFile } from "./manifest.ts";

export interface StaticOptions {
  /** The build's output folder. */
  output: string;
  manifest: () => Manifest;
}

/** A handler that answers a request for a built or static file, and null for every other address. */
export function createStatic({ output, manifest }: StaticOptions): (request: Request) => Promise<Response | null> {
  return async (request) => {
    if (request.method !== "GET" && request.method !== "HEAD") return null;
    const { files } = manifest();
    const path = new URL(request.url).pathname;
    const file = Object.hasOwn(files, path) ? files[path] : undefined;
    return file ? await serve(request, file, output) : null;
  };
}

async function serve(request: Request, file: ServedFile, output: string): Promise<Response> {
  const headers = new Headers({
    "content-type": file.type,
    "cache-control": file.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    "etag": file.etag,
    "x-content-type-options": "nosniff",
    "vary": "accept-encoding",
  });
  if (request.headers.get("if-none-match")?.includes(file.etag)) return new Response(null, { status: 304, headers });
  const encoding = encodingFor(request.headers.get("accept-encoding") ?? "", file);
  if (encoding) headers.set("content-encoding", encoding);
  const path = `${output}/${file.file}${encoding ? SUFFIX[encoding] : ""}`;
  if (request.method === "HEAD") return new Response(null, { headers });
  return new Response(await Deno.readFile(path), { headers });
}

const SUFFIX = { br: ".br", gzip: ".gz" } as const;

function encodingFor(accepted: string, file: ServedFile): "br" | "gzip" | undefined {
  const offered = accepted.split(",").map((part) => part.trim()).filter((part) => !/;\s*q=0(\.0*)?$/.test(part))
    .map((part) => part.split(";")[0]!.trim());
  return file.encodings.find((encoding) => offered.includes(encoding));
}
