import { assert, assertEquals } from "@std/assert";
import { comesToEqual, openPage, useBrowser } from "./browser.ts";
import { ago, makeNode } from "./fixture_data.ts";
import { FixtureEdge, type Override } from "./fixture_edge.ts";

useBrowser();

const STORED = { provider: "hetzner", host: null, createdAt: ago(60), updatedAt: ago(60) };

function answering(answers: Record<string, () => Response>): Override {
  return ({ method, path }) => answers[`${method} ${path}`]?.() ?? null;
}

const problem = (status: number, message: string) =>
  Response.json({ type: "t", title: "t", status, error: "conflict", message, requestId: "r" }, { status });

Deno.test("a secret is stored, checked and removed, and leaves the page at once", async () => {
  await using edge = new FixtureEdge();
  edge.override = answering({
    "PUT /api/credentials/hetzner": () => Response.json(STORED),
    "POST /api/credentials/hetzner/check": () => Response.json({ ok: false, message: "Not accepted: it is wrong." }),
    "DELETE /api/credentials/hetzner": () => new Response(null, { status: 204 }),
  });
  await using open = await openPage(`${edge.url}/credentials`);
  const card = open.page.getByRole("region", { name: "Hetzner Cloud" });
  const field = card.getByLabel("Hetzner Cloud API token");
  assertEquals(await field.getAttribute("type"), "password");
  assert(await card.getByRole("button", { name: "Store" }).isDisabled());
  await field.fill("the-secret-token");
  await card.getByRole("button", { name: "Store" }).click();
  await card.getByText("Stored.", { exact: true }).waitFor();
  await comesToEqual(() => field.inputValue(), "");
  assertEquals(edge.requests.at(-1)!.body, { secret: "the-secret-token" });
  assert(!(await open.page.content()).includes("the-secret-token"));
  await card.getByRole("button", { name: "Check" }).click();
  await card.getByText("Not accepted: it is wrong.").waitFor();
  await card.getByRole("button", { name: "Remove" }).click();
  await card.getByRole("button", { name: "Remove it?" }).click();
  await card.getByText("Nothing is stored.").waitFor();
  assertEquals(edge.requests.map(({ method }) => method), ["PUT", "POST", "DELETE"]);
  assertEquals(open.complaints, []);
});

Deno.test("a Git token names its host, and a wrong host is told at its field", async () => {
  await using edge = new FixtureEdge();
  const refused = {
    ...{ type: "t", title: "t", status: 400, error: "invalid_request", message: "Check the host.", requestId: "r" },
    issues: [{ field: "host", message: "must be a host alone, for example github.com" }],
  };
  let calls = 0;
  edge.override = answering({
    "PUT /api/credentials/git": () =>
      calls++ === 0
        ? Response.json(refused, { status: 400 })
        : Response.json({ ...STORED, provider: "git", host: "git.example.org" }),
  });
  await using open = await openPage(`${edge.url}/credentials`);
  const card = open.page.getByRole("region", { name: "Git", exact: true });
  await card.getByLabel("Git token").fill("a-token-of-mine");
  assert(await card.getByRole("button", { name: "Store" }).isDisabled());
  await card.getByLabel("Git host").fill("https://git.example.org");
  await card.getByRole("button", { name: "Store" }).click();
  await card.getByText("This must be a host alone, for example github.com.").waitFor();
  await card.getByLabel("Git host").fill("git.example.org");
  await card.getByRole("button", { name: "Store" }).click();
  await card.getByText("for git.example.org.").waitFor();
  assertEquals(edge.requests.at(-1)!.body, { secret: "a-token-of-mine", host: "git.example.org" });
});

Deno.test("a refusal is told at the field, and what is stored stays", async () => {
  await using edge = new FixtureEdge();
  edge.credentials = [{ ...STORED, provider: "hetzner" }];
  edge.override = answering({
    "DELETE /api/credentials/hetzner": () => problem(409, "2 server(s) live under this credential."),
  });
  await using open = await openPage(`${edge.url}/credentials`);
  const card = open.page.getByRole("region", { name: "Hetzner Cloud" });
  await card.getByRole("button", { name: "Remove" }).click();
  await card.getByRole("button", { name: "Remove it?" }).click();
  await card.getByRole("alert").getByText("2 server(s) live under this credential.").waitFor();
  await card.getByRole("button", { name: "Replace" }).waitFor();
});

Deno.test("adding a machine shows its command, and machines show what they cost", async () => {
  await using edge = new FixtureEdge();
  edge.nodes = [makeNode(700, { provider: "hetzner", priceHour: 0.006, costSoFar: 0.012 })];
  const command = "{ echo NODE_ID=x; echo BOOTSTRAP_TOKEN=y; curl -fsSL 'https://e/install/node.sh'; } | sudo sh";
  edge.override = answering({
    "POST /api/nodes": () =>
      Response.json({ node: makeNode(701, { provider: "manual" }), command, expiresAt: ago(-30) }, { status: 201 }),
  });
  await using open = await openPage(`${edge.url}/nodes`);
  await open.page.getByText("0.01 (0.0060 an hour)").waitFor();
  await open.page.getByRole("button", { name: "Add a machine" }).click();
  await open.page.getByText(command).waitFor();
  await open.page.getByRole("button", { name: "Copy the command" }).waitFor();
  assertEquals(open.complaints, []);
});
