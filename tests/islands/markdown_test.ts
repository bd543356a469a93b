import { assert, assertEquals } from "@std/assert";
import { type OpenPage, openPage, useBrowser } from "./browser.ts";
import { ago, id, makeMessage, makeSession, makeTask, PROJECT } from "./fixture_data.ts";
import { FixtureEdge } from "./fixture_edge.ts";

useBrowser();

const PATH = `/projects/${PROJECT.id}`;
const TASK = makeTask(10, { status: "in_progress", run: 1, updatedAt: ago(1) });

/** A live session in which the agent has said these texts. */
function edgeThatSays(...texts: string[]): FixtureEdge {
  const edge = new FixtureEdge();
  edge.tasks = [TASK];
  edge.sessions = [makeSession(TASK, { status: "active", turn: "running", lastSeq: texts.length + 1 })];
  edge.messages[TASK.sessionId] = [
    makeMessage(1, { content: "Go" }),
    ...texts.map((content, index) => makeMessage(index + 2, { content })),
  ];
  return edge;
}

async function opened(edge: FixtureEdge): Promise<OpenPage> {
  const open = await openPage(edge.url + PATH);
  await open.page.locator(".markdown").first().waitFor();
  return open;
}

const RICH = `## Result

It **works**, *really*: see \`lamp.ts\` and https://example.org/a?b=c.

1. one
2. two

| a | b |
| - | - |
| 1 | 2 |

> quoted

\`\`\`ts
const lamp: number = 1; // lit
\`\`\`
`;

Deno.test("an answer's Markdown is shown as such, with coloured code that can be copied", async () => {
  await using edge = edgeThatSays(RICH);
  await using open = await opened(edge);
  const answer = open.page.locator(".markdown");
  const count = (selector: string) => answer.locator(selector).count();
  assertEquals(
    [await count("h3"), await count("strong"), await count("ol > li"), await count("td"), await count("blockquote")],
    [1, 1, 2, 2, 1],
  );
  await answer.locator(".hl-keyword", { hasText: "const" }).waitFor();
  assertEquals(await answer.locator("pre code").textContent(), "const lamp: number = 1; // lit\n");
  await open.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.getByRole("button", { name: "Copy" }).click();
  await answer.getByRole("button", { name: "Copied" }).waitFor();
  assertEquals(await open.page.evaluate(() => navigator.clipboard.readText()), "const lamp: number = 1; // lit\n");
  const link = answer.locator("a");
  assertEquals(await link.getAttribute("href"), "https://example.org/a?b=c");
  assertEquals(await link.getAttribute("rel"), "noopener noreferrer");
  assertEquals(open.complaints, []);
});

const HOSTILE = [
  `<img src=x onerror="window.hit=1">`,
  `<script>window.hit=1</script>`,
  `<svg onload="window.hit=1"><a xlink:href="javascript:window.hit=1">x</a></svg>`,
  `<iframe srcdoc="<script>parent.hit=1</script>"></iframe><base href="https://evil.example/">`,
  `[click](javascript:window.hit=1) [b](JaVaScRiPt:window.hit=1) [c](data:text/html,<script>window.hit=1</script>)`,
  `[d](vbscript:x) [e](//evil.example) [f](file:///etc/passwd) <javascript:window.hit=1>`,
  `![alt](https://evil.example/track.png) ![x](javascript:window.hit=1)`,
  '```ts" onmouseover="window.hit=1\n</code></pre><img src=x onerror=window.hit=1>\n```',
  "```html\n<img src=x onerror=window.hit=1><script>window.hit=1</script>\n```",
  `[a]: javascript:window.hit=1\n\n[a] <details open ontoggle=window.hit=1>x</details>`,
  `<style>*{display:none}</style><form action="https://evil.example"><button>Sign in</button></form>`,
  `<a href="https://evil.example" class="button primary" style="position:fixed;inset:0">x</a>`,
];

Deno.test("whatever an answer holds, no element, address or script of its own comes into the page", async () => {
  await using edge = edgeThatSays(...HOSTILE);
  await using open = await opened(edge);
  const { page } = open;
  await page.locator("pre code .hl-tag").first().waitFor();
  const found = await page.locator(".markdown").evaluateAll((answers) =>
    answers.flatMap((answer) =>
      [...answer.querySelectorAll("*")].filter((element) => {
        const own = ["P", "BR", "A", "CODE", "PRE", "SPAN", "DIV"].includes(element.nodeName) ||
          element.textContent === "Copy";
        const plain = element.getAttributeNames().every((name) =>
          ["class", "href", "target", "rel", "tabindex", "type"].includes(name)
        );
        const address = element.getAttribute("href");
        return !own || !plain || (address !== null && !/^https?:\/\//.test(address));
      }).map((element) => element.outerHTML)
    )
  );
  assertEquals(found, []);
  assertEquals(await page.locator(".markdown img, .markdown .button").count(), 0);
  assertEquals(await page.locator('.markdown a[href="https://evil.example/track.png"]').textContent(), "alt");
  assertEquals(await page.evaluate(() => "hit" in globalThis), false);
  assertEquals(open.complaints, [], "the policy had nothing to refuse");
});

Deno.test("names, messages, outputs and branches of any content are text on every page", async () => {
  const bad = `"><img src=x onerror="window.hit=1"><script>window.hit=1</script>`;
  const edge = edgeThatSays("x");
  await using _edge = edge;
  const task = { ...TASK, title: bad, outputBranch: bad, errorMessage: bad, warning: bad, status: "failed" as const };
  const outputPrUrl = "javascript:window.hit=1";
  edge.tasks = [{ ...task, outputPrUrl }, makeTask(12, { title: bad, description: bad })];
  edge.sessions = [makeSession(task, { topic: bad, status: "error", lastSeq: 7 })];
  const tool = {
    tool: bad,
    target: bad,
    status: "failed",
    toolCallId: "x",
    diff: `--- ${bad}\n+++ ${bad}\n+${bad}`,
  } as const;
  const roles = ["user", "assistant", "thinking", "plan", "system", "tool", "tool"] as const;
  edge.messages[TASK.sessionId] = roles.map((role, index) =>
    makeMessage(index + 1, { role, content: bad, toolMetadata: role === "tool" ? tool : null })
  );
  for (const path of [PATH, `${PATH}/board`]) {
    await using open = await openPage(edge.url + path);
    if (path === PATH) await open.page.locator(".markdown").first().waitFor();
    assertEquals(await open.page.locator("img, a[href^='javascript']").count(), 0, path);
    assertEquals(await open.page.evaluate(() => "hit" in globalThis), false);
    assert((await open.page.locator("body").textContent())!.includes(`<img src=x onerror="window.hit=1">`));
    assertEquals(open.complaints, []);
  }
});

Deno.test("live text is rendered as it grows, with a caret, and then as the stored message", async () => {
  await using edge = edgeThatSays("Before");
  await using open = await opened(edge);
  await open.page.locator(".connection-connected").waitFor();
  const live = { type: "message.live", sessionId: TASK.sessionId, messageId: id(900), role: "assistant" } as const;
  edge.push({ ...live, rev: 1, at: 0, text: "It is **bo" });
  await open.page.locator(".markdown.live").waitFor();
  edge.push({ ...live, rev: 2, at: 10, text: "ld** now" });
  await open.page.locator(".markdown.live strong", { hasText: "bold" }).waitFor();
});
