/** The building blocks of the schemas: lengths in the units that a page counts, ids, times, branches. */
import { assert, assertEquals } from "@std/assert";
import { z } from "zod";
import { branchName, pageQuery, text, timestamp, uuid } from "../../../lib/wire/common.ts";
import { messageBatch } from "../../../lib/wire/message.ts";

const fits = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

Deno.test("text is counted in UTF-16 units after trimming, and one sentence says so", () => {
  const schema = text(4);
  assertEquals(["🙂🙂", " 🙂🙂\n", "abcd", "語語語語"].map((value) => fits(schema, value)), [true, true, true, true]);
  assertEquals(["🙂🙂🙂", "🙂🙂a", "abcde", "", " \t\n"].map((value) => fits(schema, value)), Array(5).fill(false));
  for (const value of ["🙂🙂🙂", "abcdef", "🙂🙂🙂🙂🙂"]) {
    assertEquals(schema.safeParse(value).error?.issues.map((issue) => issue.message), ["must be at most 4 characters"]);
  }
  assertEquals(z.toJSONSchema(schema).maxLength, 4);
});

Deno.test("an id is one in either case, and the same in both", () => {
  const id = "0197F000-0000-7000-8000-00000000ABCD";
  assertEquals(uuid.parse(id), id.toLowerCase());
  assertEquals(z.record(uuid, z.number()).parse({ [id]: 1 }), { [id.toLowerCase()]: 1 });
  const wrong = [
    "",
    id.slice(1),
    `${id}0`,
    ` ${id}`,
    `${id}\n`,
    id.replaceAll("-", ""),
    `{${id}}`,
    id.replace("A", "G"),
  ];
  assertEquals(wrong.filter((value) => fits(uuid, value)), []);
});

Deno.test("a time that is accepted is a time", () => {
  const times = [
    "2024-02-29T23:59:59Z",
    "2024-01-01T00:00Z",
    "2024-01-01T00:00:00.123456789123456789+23:59",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    `2024-01-01T00:00:00.${"9".repeat(500)}Z`,
  ];
  for (const time of times) assert(!fits(timestamp, time) || Number.isFinite(Date.parse(time)), time);
  const wrong = ["2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01", "now", 5, null];
  assertEquals(wrong.filter((time) => fits(timestamp, time)), []);
});

Deno.test("a branch is one that Git takes and no command line takes for an option", () => {
  const good = ["main", "task/0197f000", "a.b", "feature/ümlaut", "x@y"];
  assertEquals(good.filter((name) => !fits(branchName, name)), []);
  const bad = [
    "-x",
    "--upload-pack=x",
    "/a",
    "a/",
    ".a",
    "a..b",
    "a//b",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a b",
    "a~1",
    "a^",
    "a:b",
  ];
  const worse = ["a?", "a*", "a[", "a\\b", "@{", "a@{b", "a.", "a\u0000b", "a\nb", "a\u007f", "", "x".repeat(251)];
  assertEquals([...bad, ...worse].filter((name) => fits(branchName, name)), []);
});

Deno.test("a query's numbers are whole, finite and within bounds", () => {
  assertEquals(pageQuery.parse({}), { limit: 50 });
  assertEquals(pageQuery.parse({ limit: "500" }).limit, 500);
  const wrong = ["0", "501", "-1", "1.5", "1e400", "NaN", "", "x", "0x10000"];
  assertEquals(wrong.filter((limit) => fits(pageQuery, { limit })), []);
});

Deno.test("a prototype in a batch is no field of a message", () => {
  const sessionId = crypto.randomUUID();
  const raw =
    `{"messages":[{"messageId":"${crypto.randomUUID()}","sessionId":"${sessionId}","role":"tool","content":"x",
    "timestamp":"2024-01-01T00:00:00Z","__proto__":{"role":"system"},
    "toolMetadata":{"tool":"t","status":"completed","toolCallId":"c","__proto__":{"diff":"x"},"input":{"__proto__":{"a":1}}}}]}`;
  const [message] = messageBatch.parse(JSON.parse(raw)).messages;
  assertEquals([message!.role, message!.toolMetadata?.diff], ["tool", undefined]);
  assertEquals(({} as { a?: number }).a, undefined);
});
