import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import type { ComponentChildren } from "preact";
import type { Manifest } from "../../../lib/render/manifest.ts";
import { renderPage } from "../../../lib/render/page.ts";

interface GreetingProps {
  name: string;
  details?: { tags: string[] };
  children?: ComponentChildren;
}

function Greeting({ name, details }: GreetingProps) {
  return <p class="greeting">Hello, {name}! {details?.tags.join("+")}</p>;
}

function Nested({ name }: { name: string }) {
  return (
    <section>
      <Greeting name={name} />
    </section>
  );
}

function Home() {
  return (
    <main class="page">
      <Greeting name="Ada" details={{ tags: ["a", "b"] }} />
    </main>
  );
}

const islands = { Greeting, Nested };
const manifest: Manifest = {
  version: 1,
  entry: "/assets/entry-1.js",
  stylesheet: "/assets/app-1.css",
  icon: "/assets/favicon-1.svg",
  preloads: ["/assets/entry-1.js", "/assets/chunk-a.js"],
  islands: { Greeting: ["/assets/chunk-g.js", "/assets/chunk-a.js"], Nested: ["/assets/chunk-n.js"] },
  files: {},
};
const options = { nonce: "n0nce", title: "Test", manifest, islands };

function propsOf(html: string): unknown {
  return JSON.parse(/id="island-props"[^>]*>(.*?)<\/script>/s.exec(html)![1]!);
}

Deno.test("an island inside precompiled markup is marked, with its props beside the page", () => {
  const html = renderPage(<Home />, options);
  assertMatch(html, /<main class="page"><hearth-island data-island="0"><p class="greeting">Hello, Ada! a\+b<\/p>/);
  assertEquals(propsOf(html), [{ name: "Greeting", props: { name: "Ada", details: { tags: ["a", "b"] } } }]);
});

Deno.test("islands are counted per page, and one inside another is part of it", () => {
  const Page = () => (
    <main>
      <Nested name="Ada" />
      <Greeting name="Bob" />
    </main>
  );
  const html = renderPage(<Page />, options);
  assertEquals([...html.matchAll(/data-island="(\d)"/g)].map((match) => match[1]), ["0", "1"]);
  assertEquals(propsOf(html), [{ name: "Nested", props: { name: "Ada" } }, {
    name: "Greeting",
    props: { name: "Bob" },
  }]);
  assertEquals(renderPage(<Page />, options), html, "nothing is kept between pages");
});

Deno.test("a page loads the chunks of its own islands, each once, and one without islands loads no script", () => {
  const html = renderPage(<Greeting name="Ada" />, options);
  const preloads = [...html.matchAll(/rel="modulepreload" href="([^"]+)"/g)].map((match) => match[1]);
  assertEquals(preloads, ["/assets/entry-1.js", "/assets/chunk-a.js", "/assets/chunk-g.js"]);
  assertMatch(html, /<script type="module" src="\/assets\/entry-1\.js" nonce="n0nce"><\/script>/);
  assert(!renderPage(<p>Plain</p>, options).includes("<script"));
});

Deno.test("what comes from people cannot leave its place in the document", () => {
  const bad = `</script><script>alert(1)</script><!--`;
  const html = renderPage(<Greeting name={bad} />, { ...options, title: `</title><b>"&` });
  assertEquals([...html.matchAll(/<script/g)].length, 2, "the props and the entry");
  assertEquals(propsOf(html), [{ name: "Greeting", props: { name: bad } }]);
  assertStringIncludes(html, "<title>&lt;/title&gt;&lt;b&gt;&quot;&amp;</title>");
});

Deno.test("an island takes no children, because they cannot be sent", () => {
  assertThrows(() => renderPage(<Greeting name="Ada">child</Greeting>, options), Error, "takes no children");
});
