/** A project's settings: saved by themselves, refused with the reason, and members for the owner to let in and out. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Page } from "playwright";
import type { Member } from "../../lib/wire/project.ts";
import { comesToEqual, type OpenPage, openPage, useBrowser } from "./browser.ts";
import { ago, id, ME, PROJECT } from "./fixture_data.ts";
import { FixtureEdge, problem } from "./fixture_edge.ts";

useBrowser();

const OWNER: Member = { userId: ME.id, login: "ada", displayName: "Ada", role: "owner", addedAt: ago(900) };
const MIA: Member = { userId: id(31), login: "mia", displayName: "Mia", role: "member", addedAt: ago(90) };

/** An edge that keeps what is saved of the project. */
function edgeThatSaves(): FixtureEdge {
  const edge = new FixtureEdge();
  edge.members = [OWNER];
  let project = PROJECT;
  edge.override = ({ method, path, body }) => {
    if (method !== "PATCH" || path !== "") return null;
    project = { ...project, ...body as object };
    return Response.json(project);
  };
  return edge;
}

const open = (edge: FixtureEdge): Promise<OpenPage> => openPage(`${edge.url}/projects/${PROJECT.id}/settings`);
const saved = (edge: FixtureEdge) => edge.requests.filter(({ method }) => method === "PATCH").map(({ body }) => body);
const saysSaved = (page: Page) => page.locator(".saved", { hasText: /^Saved$/ }).first().waitFor();

Deno.test("T070 the VM size is a choice of small, medium and large, saved when it is made", async () => {
  await using edge = edgeThatSaves();
  await using shown = await open(edge);
  const size = shown.page.getByLabel("Default VM size");
  assertEquals(await size.inputValue(), "");
  assertEquals(await size.locator("option").allTextContents(), [
    "Platform default (Small)",
    "Small",
    "Medium",
    "Large",
  ]);
  await size.selectOption("large");
  await saysSaved(shown.page);
  assertEquals(saved(edge), [{ defaultVmSize: "large" }]);
  await size.selectOption("");
  await edge.until(() => saved(edge).length === 2, "the default was saved");
  assertEquals(saved(edge)[1], { defaultVmSize: null });
  assertEquals(shown.complaints, []);
});

Deno.test("T070 a size that is refused says why at the field and goes back to what is saved", async () => {
  await using edge = edgeThatSaves();
  edge.override = ({ method }) => method === "PATCH" ? problem(503, "store_busy", "The store is busy.") : null;
  await using shown = await open(edge);
  const size = shown.page.getByLabel("Default VM size");
  await size.selectOption("medium");
  await shown.page.getByRole("alert").getByText("The store is busy.").waitFor();
  await comesToEqual(() => size.inputValue(), "");
  await comesToEqual(() => size.getAttribute("aria-invalid"), "true");
});

Deno.test("the last of two quick choices stays, also when the first is answered late", async () => {
  await using edge = edgeThatSaves();
  const save = edge.override;
  const first = Promise.withResolvers<void>();
  edge.override = async (request) => {
    if (saved(edge).length === 1) await first.promise;
    return (await save(request))!;
  };
  await using shown = await open(edge);
  const size = shown.page.getByLabel("Default VM size");
  await size.selectOption("large");
  await edge.until(() => saved(edge).length === 1, "the first choice was sent");
  await size.selectOption("");
  first.resolve();
  await edge.until(() => saved(edge).length === 2, "the second choice was sent");
  await saysSaved(shown.page);
  assertEquals(saved(edge), [{ defaultVmSize: "large" }, { defaultVmSize: null }]);
  await comesToEqual(() => size.inputValue(), "");
});

Deno.test("texts, limits, the coding agent and the permissions are saved; other settings stay as they are", async () => {
  await using edge = edgeThatSaves();
  await using shown = await open(edge);
  const { page } = shown;
  await page.getByLabel("Name").fill("  Beacon  ");
  await page.getByLabel("Name").blur();
  await edge.until(() => saved(edge).length === 1, "the name was saved");
  await page.waitForFunction(() => document.querySelector<HTMLInputElement>("#setting-name")!.value === "Beacon");
  await page.getByLabel("Coding agent", { exact: true }).selectOption("claude");
  await page.getByLabel("Permissions of the coding agent").selectOption("ask");
  await page.getByLabel("Most cost of a run").fill("2.5");
  await page.getByLabel("Most minutes of a run").fill("90");
  await page.getByLabel("Most minutes of a run").press("Enter");
  await edge.until(() => saved(edge).length === 5, "all was saved");
  assertEquals(saved(edge), [
    { name: "Beacon" },
    { codingAgent: "claude" },
    { permissionMode: "ask" },
    { settings: { maxCostUsdPerRun: 2.5 } },
    { settings: { maxCostUsdPerRun: 2.5, maxMinutesPerRun: 90 } },
  ]);
  await page.getByLabel("Most cost of a run").fill("");
  await page.getByLabel("Most cost of a run").blur();
  await edge.until(() => saved(edge).length === 6, "the limit was taken away");
  assertEquals(saved(edge)[5], { settings: { maxMinutesPerRun: 90 } });
  assertEquals(shown.complaints, []);
});

Deno.test("a text that is refused stays in its field with the reason, and the other fields keep theirs", async () => {
  await using edge = edgeThatSaves();
  const save = edge.override;
  edge.override = (request) =>
    (request.body as { name?: string } | null)?.name
      ? problem(409, "name_taken", "You already have a project named that.")
      : save(request);
  await using shown = await open(edge);
  const { page } = shown;
  await page.getByLabel("Name").fill("Taken");
  await page.getByLabel("Name").blur();
  await page.getByRole("alert").getByText("You already have a project named that.").waitFor();
  await page.getByLabel("Default branch").fill("trunk");
  await page.getByLabel("Default branch").blur();
  await saysSaved(page);
  assertEquals(await page.getByLabel("Name").inputValue(), "Taken");
  await page.getByText("You already have a project named that.").waitFor();
  await page.getByLabel("Most cost of a run").fill("a lot");
  await page.getByLabel("Most cost of a run").blur();
  await page.getByRole("alert").getByText("A number above 0").waitFor();
  assertEquals(saved(edge).length, 2);
});

Deno.test("the owner lets a member in and out; who is unknown is named at the field", async () => {
  await using edge = edgeThatSaves();
  edge.override = ({ method, path, body }) => {
    if (method === "DELETE") return new Response(null, { status: 204 });
    if (method !== "POST" || path !== "/members") return null;
    return (body as { login: string }).login === "mia"
      ? Response.json(MIA, { status: 201 })
      : problem(400, "invalid_request", 'There is no user "zoe" here.', {
        issues: [{ field: "login", message: "names nobody here" }],
      });
  };
  await using shown = await open(edge);
  const members = shown.page.getByRole("region", { name: "Members" });
  const field = members.getByLabel("Add a member");
  await field.fill("zoe");
  await members.getByRole("button", { name: "Add" }).click();
  await members.getByRole("alert").getByText('There is no user "zoe" here.').waitFor();
  await field.fill("mia");
  await field.press("Enter");
  await members.getByText("Mia is in.").waitFor();
  await comesToEqual(() => field.inputValue(), "");
  await comesToEqual(async () => (await members.locator(".member").allTextContents()).map((text) => text.trim()), [
    "AAda (you)adaOwner",
    "MMiamiaMemberRemove",
  ]);
  await members.getByRole("button", { name: "Remove" }).click();
  await members.getByRole("button", { name: "Remove from the project?" }).click();
  await members.locator(".member", { hasText: "Mia" }).waitFor({ state: "detached" });
  assertEquals(edge.requests.at(-1)!.path, `/members/${MIA.userId}`);
});

Deno.test("a member sees who is in it, and that only the owner changes what reaches the code", async () => {
  await using edge = edgeThatSaves();
  edge.me = { ...ME, id: MIA.userId, role: "member" };
  edge.members = [OWNER, MIA];
  await using shown = await open(edge);
  const { page } = shown;
  for (const label of ["Repository", "Permissions of the coding agent"]) {
    assert(await page.getByLabel(label).isDisabled(), label);
    const described = await page.getByLabel(label).getAttribute("aria-describedby");
    assertStringIncludes((await page.locator(`#${described}`).textContent())!, "Only the owner");
  }
  assert(await page.getByLabel("Default VM size").isEnabled());
  assertEquals(await page.getByRole("button", { name: "Remove" }).count(), 0);
  assertEquals(await page.getByLabel("Add a member").count(), 0);
  assertEquals(await page.getByRole("region", { name: "Danger zone" }).count(), 0);
  await page.locator(".member", { hasText: "Mia (you)" }).waitFor();
});

Deno.test("a project that cannot be deleted says why, and stays", async () => {
  await using edge = edgeThatSaves();
  edge.override = ({ method }) =>
    method === "DELETE" ? problem(409, "still_live", "Tasks of this project are running. Cancel them first.") : null;
  await using shown = await open(edge);
  await shown.page.getByRole("button", { name: "Delete project" }).click();
  await shown.page.getByRole("button", { name: "Delete Lighthouse for good?" }).click();
  await shown.page.getByRole("alert").getByText("Tasks of this project are running.").waitFor();
  assertStringIncludes(shown.page.url(), "/settings");
});
