import { assertEquals } from "@std/assert";
import { compare, findIds, readCoverage } from "../scenarios.ts";

// The samples are put together here, so that this file itself carries none of them.
const id = (end: string) => `T0${end}`;

Deno.test("a test carries the ids with which its name begins", () => {
  const text = `
    Deno.test("${id("21-3")} keeps order", () => {});
    Deno.test({ name: '${id("21-4")} survives', fn() {} });
    await t.step(\`${id("21-5")}, ${id("21-6")} both\`, () => {});
    edgeTest("TASK-010-${"AC5"} warns", async () => {});
    Deno.test(
      "${id("74")}",
    );`;
  assertEquals(findIds(text), [id("21-3"), id("21-4"), id("21-5"), id("21-6"), "TASK-010-AC5", id("74")]);
});

Deno.test("an id in a comment, inside a name or on a skipped test is not carried", () => {
  const text = `
    // ${id("21-3")}
    Deno.test("order of ${id("21-3")}", () => {});
    Deno.test("${id("21-3")}x", () => {});
    Deno.test.ignore("${id("21-3")} later", () => {});`;
  assertEquals(findIds(text), []);
});

Deno.test("open, lost and unknown ids are told apart", () => {
  assertEquals(compare(["a", "x"], ["a", "b", "c"], ["a", "b"]), {
    open: ["b", "c"],
    lost: ["b"],
    carried: ["a"],
    unknown: ["x"],
  });
});

Deno.test("no scenario that was carried is lost, and no test carries an unknown id", async () => {
  const { lost, unknown } = await readCoverage();
  assertEquals({ lost, unknown }, { lost: [], unknown: [] });
});
