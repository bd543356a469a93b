/**
 * Makes zod small enough for the browser, as a plugin of the bundler. The schemas import `{ z }`, which keeps all of
 * zod in a bundle (80 kB compressed); as a namespace import, and with the making of schemas marked as pure, only what
 * is used stays. What is never used in a browser is left out: the conversion to JSON Schema, the English sentences for
 * issues, and the code with which schemas of objects would compile themselves. The build fails when any of it no longer
 * applies.
 */
import type { Plugin } from "esbuild";

/**
 * Making a schema changes nothing, so one that no island uses can be left out; the bundler must be told. It is told of
 * the whole expression, up to the end of its statement as the formatter writes it: each method of a chain is a call.
 */
const MADE = /^((?:export )?const \w+(?:: [^=\n]+)? = )(?=[\w.]+\()((?:.|\n(?=[ })\]]))*);$/gm;
const NAMED = /import \{ z \} from "zod";/;
const FROM_ZOD = /^import (?!type).*from "zod"/m;
const UNUSED = /[\\/]zod[\\/]v4[\\/](core[\\/](to-json-schema|json-schema-processors)|locales[\\/]en)\.js$/;
const UNUSED_FILES = 3;
/** `z.string().email()` and its like, old spellings that no schema here uses: each would keep its format in the bundle. */
const METHODS_OF = /[\\/]zod[\\/]v4[\\/]classic[\\/]schemas\.js$/;
const FORMAT_METHOD = /^ {4}\w+\(params\) \{\n {8}return this\.check\(core\._\w+\(Zod\w+, params\)\);\n {4}\},?\n/gm;
/** Schemas of objects write code for themselves where they may; the page's policy never lets them. */
const COMPILED = "core.$ZodObjectJIT.init(";

export function browserZod(): Plugin {
  return {
    name: "browser-zod",
    setup(build) {
      let dropped = 0;
      build.onStart(() => {
        dropped = 0;
      });
      build.onLoad({ filter: /[\\/](lib|islands)[\\/].*\.tsx?$/ }, async ({ path }) => {
        if (path.includes("node_modules")) return undefined;
        const source = await Deno.readTextFile(path);
        if (!FROM_ZOD.test(source)) return undefined;
        if (!NAMED.test(source)) return { errors: [{ text: `expected \`import { z } from "zod";\` in ${path}` }] };
        const loader = path.endsWith("x") ? "tsx" : "ts";
        const contents = source.replace(NAMED, 'import * as z from "zod";').replace(
          MADE,
          "$1/* @__PURE__ */ (() => $2)();",
        );
        return { contents, loader };
      });
      build.onLoad({ filter: UNUSED }, async ({ path }) => {
        dropped++;
        return { contents: stubOf(await Deno.readTextFile(path)), loader: "js" };
      });
      build.onLoad({ filter: METHODS_OF }, async ({ path }) => {
        const source = await Deno.readTextFile(path);
        const interpreted = source.replace(COMPILED, "core.$ZodObject.init(");
        if (interpreted === source) {
          return { errors: [{ text: `expected objects that compile themselves in ${path}` }] };
        }
        const contents = interpreted.replaceAll(FORMAT_METHOD, "");
        if (contents === interpreted) return { errors: [{ text: `expected methods of string formats in ${path}` }] };
        return { contents, loader: "js" };
      });
      build.onEnd((result) => {
        const usesZod = Object.keys(result.metafile?.inputs ?? {}).some((input) => input.includes("/zod/v4/core/"));
        if (!usesZod || dropped === UNUSED_FILES) return undefined;
        return { errors: [{ text: `expected ${UNUSED_FILES} parts of zod to leave out, found ${dropped}` }] };
      });
    },
  };
}

/** The same exports, empty. A locale's default export makes the function that would write the sentence. */
function stubOf(source: string): string {
  const names = [...source.matchAll(/^export (?:const|function|class) (\w+)/gm)].map((match) => match[1]);
  const stubs = names.map((name) => `export function ${name}() { return () => ({}); }`);
  if (/^export default/m.test(source)) stubs.push('export default () => ({ localeError: () => "does not fit" });');
  return stubs.join("\n");
}
