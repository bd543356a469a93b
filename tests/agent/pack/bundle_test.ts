import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { findAddon, rewriteRequire } from "../../../agent/pack/bundle.ts";

Deno.test("the addon's computed require becomes a file beside the bundle", () => {
  const text = "function load() {\n  return require(`@libsql/${target}`);\n}\n";
  assertEquals(rewriteRequire(text), 'function load() {\n  return require("./libsql.node");\n}\n');
});

Deno.test("a package that requires its addon in another way stops the build", () => {
  assertThrows(() => rewriteRequire("return require(`@libsql/${name}`);"), Error, "adapt agent/pack/bundle.ts");
});

Deno.test("the addon of this machine is found", async () => {
  assertStringIncludes(findAddon(), Deno.build.os === "linux" ? "-gnu" : Deno.build.os);
  assertEquals((await Deno.stat(findAddon())).isFile, true);
});
