import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { openApiText } from "../../lib/admin/openapi_file.ts";
import { endpoints } from "../../lib/wire/endpoints.ts";
import { describeSchema } from "../../routes/api/_schema_text.ts";
import { startTestEdge } from "../edge.ts";

const FILE = new URL("../../docs/openapi.json", import.meta.url);

Deno.test("docs/openapi.json is what the endpoints say", async () => {
  const same = await Deno.readTextFile(FILE) === openApiText();
  assertEquals(same, true, "docs/openapi.json is out of date. Write it anew: deno task admin openapi");
});

Deno.test("the edge serves the document to programs and as a page, to anybody", async () => {
  await using test = await startTestEdge();
  const served = await fetch(`${test.url}/openapi.json`);
  assertEquals(await served.json(), JSON.parse(openApiText()));

  const response = await fetch(`${test.url}/docs/api`, { headers: { accept: "text/html" } });
  assertEquals(response.status, 200);
  assertMatch(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  const html = await response.text();
  for (const [name, { method, path, summary }] of Object.entries(endpoints)) {
    const article = html.split(`id="${name}"`)[1]?.split("</article>")[0] ?? "";
    assertStringIncludes(article, `<strong>${method}</strong> ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    assertStringIncludes(article, summary.replaceAll("&", "&amp;"));
  }
  assertStringIncludes(html, "description: text (1–32000)");
});

Deno.test("a schema reads as a few lines: names, what may be left out, bounds that say something", () => {
  const json = {
    type: "object",
    required: ["id", "tags"],
    properties: {
      id: { type: "string", pattern: "^[0-9a-f]{8}-[0-9a-f]{4}" },
      tags: { type: "array", items: { enum: ["a", "b"] } },
      size: { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
      name: { type: ["string", "null"], minLength: 1, maxLength: 9 },
      at: { anyOf: [{ type: "string", format: "date-time", pattern: "^x" }, { type: "null" }] },
      more: { type: "object", additionalProperties: true },
    },
  };
  assertEquals(
    describeSchema(json),
    [
      "{",
      "  id: id",
      '  tags: ["a" | "b"]',
      "  size?: integer",
      "  name?: text (1–9) | null",
      "  at?: time | null",
      "  more?: {",
      "    …: anything",
      "  }",
      "}",
    ].join("\n"),
  );
});
