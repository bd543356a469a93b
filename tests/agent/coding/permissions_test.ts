import { assert, assertEquals } from "@std/assert";
import { followPaths, namedPaths } from "../../../agent/coding/named_paths.ts";
import { allow, answered, type Asked, cancelled, isAllowed, reject } from "../../../agent/coding/permissions.ts";

const ALL = { reads: true, edits: true };
const ROOT = "/work/checkout";
const asked = (kind: string | null, ...paths: (string | null)[]): Asked => ({ kind, paths, root: ROOT });
const inside = `${ROOT}/src/a.ts`;

Deno.test("in ask mode reading and editing inside the checkout go ahead, everything else is asked", () => {
  for (const kind of ["read", "search", "edit"]) assert(isAllowed("ask", ALL, asked(kind, inside)), kind);
  const others = ["execute", "delete", "move", "fetch", "think", "switch_mode", "other", "made_up", null];
  for (const kind of others) assert(!isAllowed("ask", ALL, asked(kind, inside)), `${kind}`);
});

Deno.test("in ask mode nothing goes ahead of which it is not certain that it stays inside the checkout", () => {
  const outside = ["/etc/passwd", "/work", `${ROOT}-other/a`, `${ROOT}2`, null];
  for (const kind of ["read", "edit"]) {
    assert(!isAllowed("ask", ALL, asked(kind)), `${kind} of nothing`);
    for (const path of outside) assert(!isAllowed("ask", ALL, asked(kind, inside, path)), `${kind} ${path}`);
  }
  assert(isAllowed("ask", ALL, asked("read", ROOT)));
  assert(isAllowed("ask", ALL, asked("read", `${ROOT}/.git/config`)));
  for (const path of [`${ROOT}/.git`, `${ROOT}/.git/hooks/pre-commit`]) {
    assert(!isAllowed("ask", ALL, asked("edit", path)), `what Git runs: ${path}`);
  }
});

Deno.test("a project may ask before reading, before editing, or never", () => {
  assert(!isAllowed("ask", { reads: false, edits: true }, asked("read", inside)));
  assert(isAllowed("ask", { reads: false, edits: true }, asked("edit", inside)));
  assert(!isAllowed("ask", { reads: true, edits: false }, asked("edit", inside)));
  for (const kind of ["execute", null]) assert(isAllowed("autonomous", ALL, asked(kind, "/etc/passwd")));
});

Deno.test("a call names its places, its changes, and whatever in its input is called a path", () => {
  const call = {
    locations: [{ path: "/a" }, { path: "/b" }],
    content: [{ type: "diff" as const, path: "/c", newText: "" }],
    rawInput: { file_path: "/d", command: "cat /x", edits: [{ targetFile: "/e" }], paths: ["/f", "/g"], text: "/y" },
  };
  assertEquals(namedPaths(call), ["/a", "/b", "/c", "/d", "/e", "/f", "/g"]);
  assertEquals(namedPaths({}), []);
  const deep = Array.from({ length: 5_000 }).reduce<unknown>((inner) => ({ inner }), { path: "/z" });
  assertEquals(namedPaths({ rawInput: deep }).includes("/z"), false);
  assert(namedPaths({ rawInput: deep }).length > 0, "what is too deep to look at names something unknown");
});

Deno.test("links, parent folders and links that lead nowhere are followed to where a write would land", async () => {
  const base = await Deno.realPath(await Deno.makeTempDir());
  const root = `${base}/checkout`;
  await Deno.mkdir(`${root}/src`, { recursive: true });
  await Deno.mkdir(`${base}/outside/deep`, { recursive: true });
  await Deno.writeTextFile(`${base}/outside/secret`, "s");
  await Deno.symlink(`${base}/outside`, `${root}/link`);
  await Deno.symlink(`${base}/outside/deep`, `${root}/deep`);
  await Deno.symlink(`${base}/outside/secret`, `${root}/file`);
  await Deno.symlink(`${base}/outside/new`, `${root}/dangling`);
  await Deno.symlink("src", `${root}/ok`);
  await Deno.symlink("round", `${root}/round`);
  const isInside = async (path: string) => {
    const paths = await followPaths([path], root);
    return isAllowed("ask", ALL, { kind: "edit", paths, root });
  };
  const stays = ["a.txt", "src/new/deep/b.txt", `${root}/src/c.txt`, "src/../d.txt", "ok/e.txt", "./f", "ok/../g"];
  for (const path of stays) assert(await isInside(path), `${path} stays inside`);
  const leaves = [
    ...["../x", "src/../../x", `${root}/../x`, "/etc/passwd", "link/x", "link/secret", "file", "dangling"],
    // Past a link "the folder above" is the one above its target.
    ...["deep/../secret", "new/../../x", "round/x", "file/x", "a\0b", `${root}2/x`],
  ];
  for (const path of leaves) assert(!await isInside(path), `${path} leads out`);
  await Deno.remove(base, { recursive: true });
});

Deno.test("options are chosen by kind; without a fitting one the answer is cancelled", () => {
  const options = [
    { optionId: "1", name: "Always", kind: "allow_always" as const },
    { optionId: "2", name: "Once", kind: "allow_once" as const },
    { optionId: "3", name: "No", kind: "reject_once" as const },
  ];
  const selected = (optionId: string) => ({ outcome: { outcome: "selected" as const, optionId } });
  assertEquals(allow(options).response, selected("2"));
  assertEquals(allow(options).recorded, { outcome: "allow_once", by: "policy" });
  const refused = reject(options, { by: "timeout", refusal: "Too late." });
  assertEquals([refused.response, refused.recorded.by, refused.refusal], [selected("3"), "timeout", "Too late."]);
  assertEquals(reject(options.slice(0, 2), { by: "x", refusal: "No." }).response.outcome, { outcome: "cancelled" });
  const chosen = answered(options, { optionId: "1", by: "ada" });
  assertEquals([chosen.response, chosen.recorded, chosen.refusal], [
    selected("1"),
    { outcome: "allow_always", by: "ada" },
    null,
  ]);
  assertEquals(answered(options, { optionId: "3", by: "ada" }).refusal, "Rejected by ada.");
  assertEquals(answered(options, { optionId: "9", by: "ada" }).response.outcome, { outcome: "cancelled" });
  assertEquals(cancelled(null).recorded, { outcome: "cancelled", by: "policy" });
});
