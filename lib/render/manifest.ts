/**
 * What the build made and the server needs to know: addresses of scripts and styles, which chunks each island loads,
 * and the only files that may be served. Written by `build.ts`, read back through one schema.
 */
import { z } from "zod";

const servedFile = z.object({
  /** Path below the output folder. */
  file: z.string(),
  type: z.string(),
  etag: z.string(),
  /** The address holds the content's hash, so it may be kept for ever. */
  immutable: z.boolean(),
  encodings: z.array(z.enum(["br", "gzip"])),
});
export type ServedFile = z.infer<typeof servedFile>;

export const manifest = z.object({
  version: z.literal(1),
  entry: z.string(),
  stylesheet: z.string(),
  icon: z.string(),
  /** Addresses of every chunk that the entry needs, then of those that an island adds. */
  preloads: z.array(z.string()),
  islands: z.record(z.string(), z.array(z.string())),
  files: z.record(z.string(), servedFile),
});
export type Manifest = z.infer<typeof manifest>;

/** Reads the manifest in `output`. Throws with what to do when there is none, or one of another version. */
export async function loadManifest(output: string): Promise<Manifest> {
  const text = await Deno.readTextFile(`${output}/manifest.json`).catch((cause) => {
    throw new Error(`There is no built page in ${output}: run \`deno task build\` first.`, { cause });
  });
  return manifest.parse(JSON.parse(text));
}
