import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { buildIslands, type BuildOptions, watchIslands } from "../../../lib/render/build.ts";
import { loadManifest } from "../../../lib/render/manifest.ts";
import { createStatic } from "../../../lib/render/static.ts";
import { BUILD } from "../../islands/fixture_edge.ts";

const ROOT = new URL("../../../", import.meta.url).pathname.replace(/\/$/, "");
/** The budget for the first load of a project's page, compressed. */
const FIRST_LOAD_MAX_BYTES = 60 * 1024;

/** A small site below the repository, where packages resolve. */
async function withSite(test: (options: BuildOptions) => Promise<void>): Promise<void> {
  await Deno.mkdir(`${ROOT}/tests/output`, { recursive: true });
  const folder = (await Deno.makeTempDir({ dir: `${ROOT}/tests/output` })).slice(ROOT.length + 1);
  const at = (path: string) => `${ROOT}/${folder}/${path}`;
  try {
    await Deno.mkdir(at("islands"));
    await Deno.mkdir(at("static"));
    await Deno.writeTextFile(at("islands/Hi.tsx"), "export default function Hi() { return <b>first</b>; }\n");
    await Deno.writeTextFile(at("static/app.css"), "b { color: red; }\n");
    await Deno.writeTextFile(at("static/favicon.svg"), `<svg xmlns="http://www.w3.org/2000/svg"/>`);
    const config = {
      islands: `${folder}/islands`,
      static: `${folder}/static`,
      stylesheet: `${folder}/static/app.css`,
      output: `${folder}/out`,
    };
    await test({ root: ROOT, config, islands: ["Hi"] });
  } finally {
    await Deno.remove(at(""), { recursive: true });
  }
}

Deno.test("a build writes hashed files and a manifest that reads back the same", async () => {
  await withSite(async (options) => {
    const manifest = await buildIslands(options);
    assertEquals(await loadManifest(`${ROOT}/${options.config.output}`), manifest);
    for (const url of [manifest.entry, manifest.stylesheet, manifest.icon, ...manifest.islands.Hi!]) {
      assert(/^\/assets\/[\w-]+-\w{8}\.\w+$/.test(url), url);
      assert(manifest.files[url]?.immutable, url);
    }
    const again = await buildIslands(options);
    assertEquals(again, manifest, "the same sources give the same names");
    await Deno.writeTextFile(`${ROOT}/${options.config.stylesheet}`, "b { color: blue; }\n");
    assert((await buildIslands(options)).stylesheet !== manifest.stylesheet);
  });
});

Deno.test("a source that does not compile is told, and no manifest says what to do", async () => {
  await withSite(async (options) => {
    await assertRejects(() => loadManifest(`${ROOT}/${options.config.output}`), Error, "deno task build");
    await Deno.writeTextFile(`${ROOT}/${options.config.islands}/Hi.tsx`, "export default <");
    await assertRejects(() => buildIslands(options), Error, "Hi.tsx");
  });
});

Deno.test("watching builds again on a change and keeps the last good build", async () => {
  await withSite(async (options) => {
    const builds: string[][] = [];
    const waiting: (() => void)[] = [];
    const built = (count: number) =>
      new Promise<void>((resolve) => builds.length >= count ? resolve() : waiting.push(resolve));
    await using watching = await watchIslands(options, (errors) => {
      builds.push(errors);
      waiting.splice(0).forEach((resolve) => resolve());
    });
    const first = watching.manifest();
    const source = `${ROOT}/${options.config.islands}/Hi.tsx`;
    await Deno.writeTextFile(source, "export default function Hi() { return <b>second</b>; }\n");
    await built(2);
    assert(watching.manifest().islands.Hi![0] !== first.islands.Hi![0]);
    const good = watching.manifest();
    await Deno.writeTextFile(source, "export default <");
    await built(3);
    assert(builds.at(-1)!.length > 0);
    assertEquals(watching.manifest(), good);
  });
});

Deno.test("built files are served compressed and for ever, static ones with an ETag, nothing else at all", async () => {
  const { manifest, output } = BUILD;
  const handle = createStatic({ output, manifest: () => manifest });
  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    handle(new Request(`http://x${path}`, { headers, method }));

  const script = await get(manifest.entry, { "accept-encoding": "gzip, br" });
  assertEquals(script?.headers.get("content-type"), "text/javascript; charset=utf-8");
  assertStringIncludes(script?.headers.get("cache-control") ?? "", "immutable");
  await script?.body?.cancel();
  const style = await get(manifest.stylesheet, { "accept-encoding": "gzip;q=1, br;q=0" });
  assertEquals(style?.headers.get("content-encoding"), "gzip");
  await style?.body?.cancel();
  const plain = await get(manifest.stylesheet);
  assertEquals(plain?.headers.get("content-encoding"), null);
  assertStringIncludes((await plain?.text()) ?? "", "--ground");

  const icon = await get("/favicon.svg");
  assertEquals([icon?.headers.get("content-type"), icon?.headers.get("cache-control")], ["image/svg+xml", "no-cache"]);
  await icon?.body?.cancel();
  const etag = icon?.headers.get("etag") ?? "";
  assertEquals((await get("/favicon.svg", { "if-none-match": etag }))?.status, 304);

  const outside = [
    "/assets/../manifest.json",
    "/assets/%2e%2e/manifest.json",
    "/manifest.json",
    "/__proto__",
    "/app.css",
    "/",
  ];
  for (const path of outside) assertEquals(await get(path), null, path);
  assertEquals(await get("/favicon.svg", {}, "POST"), null);
});

Deno.test("the first load of a project's page stays within its budget, by either compression", async () => {
  const { manifest, output } = BUILD;
  const urls = new Set([...manifest.preloads, ...manifest.islands.ProjectApp!]);
  for (const [encoding, suffix] of [["br", ".br"], ["gzip", ".gz"]] as const) {
    let bytes = 0;
    for (const url of urls) {
      const { file, encodings } = manifest.files[url]!;
      bytes += (await Deno.stat(`${output}/${file}${encodings.includes(encoding) ? suffix : ""}`)).size;
    }
    assert(bytes <= FIRST_LOAD_MAX_BYTES, `${encoding}: ${bytes} bytes`);
  }
});
