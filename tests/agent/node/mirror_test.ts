import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { chooseBranch } from "../../../agent/node/branch.ts";
import { commitLeftovers } from "../../../agent/node/leftovers.ts";
import { Mirrors } from "../../../agent/node/mirror.ts";
import { allowedEnvironment } from "../../../agent/process/environment.ts";
import { createLogger } from "../../../lib/log.ts";
import { addCommit, emptyRepository, makeRepository, plant, run, temporaryFolder } from "./repository.ts";

const QUIET = createLogger("critical", () => {});
const TASK = "018f0000-0000-7000-8000-000000000001";
const BRANCH = `task/${TASK}`;

function configOf(dataDir: string, change: { gitAllowFile?: boolean; mirrorCacheMaxBytes?: number } = {}) {
  return {
    dataDir,
    controlPlaneUrl: "https://hearth.example",
    gitAllowFile: true,
    childEnvironment: allowedEnvironment(Deno.env.toObject()),
    mirrorCacheMaxBytes: 1e12,
    gitAuthorName: "Hearth",
    gitAuthorEmail: "agent@hearth.invalid",
    ...change,
  };
}

async function setUp(repository: (folder: string) => Promise<string> = makeRepository) {
  const folder = await temporaryFolder();
  const remote = await repository(folder.path);
  const dataDir = `${folder.path}/data`;
  await Deno.mkdir(dataDir);
  const config = configOf(dataDir);
  const mirrors = new Mirrors(config, QUIET);
  let made = 0;
  const checkOut = async (change: { branch?: string | null; outputCommit?: string; baseBranch?: string } = {}) => {
    const path = `${folder.path}/checkout-${++made}`;
    const wanted = { repositoryUrl: remote, baseBranch: "main", branch: BRANCH, outputCommit: null, path, ...change };
    return { ...await mirrors.checkOut(wanted), path, workspaceId: crypto.randomUUID(), repositoryUrl: remote };
  };
  const commit = (path: string, title = "Do it") => commitLeftovers(path, { config, title, taskId: TASK });
  return {
    folder,
    remote,
    dataDir,
    mirrors,
    checkOut,
    commit,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

Deno.test("a checkout is a shared clone on the task's branch, and its work is committed and pushed", async () => {
  await using set = await setUp();
  const checkout = await set.checkOut();
  assertEquals([checkout.branch, checkout.base], [BRANCH, await run(set.remote, "rev-parse", "main")]);
  assertEquals(await run(checkout.path, "branch", "--show-current"), BRANCH);
  assertEquals(await run(checkout.path, "remote", "get-url", "origin"), set.remote);
  assertStringIncludes(await Deno.readTextFile(`${checkout.path}/.git/objects/info/alternates`), "/mirrors/");
  assertEquals(await set.mirrors.push(checkout), { nothing: true });

  await Deno.writeTextFile(`${checkout.path}/new.txt`, "new\n");
  await set.commit(checkout.path, "-m a title\nin two lines");
  const pushed = await set.mirrors.push(checkout);
  const commit = await run(set.remote, "rev-parse", BRANCH);
  assertEquals(pushed, { commit });
  assertEquals(
    await run(set.remote, "log", "-1", "--format=%an <%ae> %cn%n%B", BRANCH),
    `Hearth <agent@hearth.invalid> Hearth\n-m a title in two lines\n\nHearth-Task: ${TASK}`,
  );
  assertEquals(await set.mirrors.push(checkout), { commit });
});

Deno.test("a second workspace of the repository borrows the objects and fetches only what is new", async () => {
  await using set = await setUp((folder) => makeRepository(folder, { "big.txt": crypto.randomUUID().repeat(50_000) }));
  await set.checkOut();
  const mirror = `${set.dataDir}/mirrors/${[...Deno.readDirSync(`${set.dataDir}/mirrors`)][0]!.name}`;
  const packs = () => run(mirror, "count-objects", "-v").then((text) => text.split("\n").sort().join(" "));
  const before = await packs();
  const second = await set.checkOut();
  assertEquals(await packs(), before);
  assertStringIncludes(await run(second.path, "count-objects", "-v"), "in-pack: 0");
  const commit = await addCommit(set.folder.path, set.remote, { branch: "main", files: { "more.txt": "more\n" } });
  assertEquals((await set.checkOut()).base, commit);
});

Deno.test("workspaces of one repository at once each get their own branch and push", async () => {
  await using set = await setUp();
  const all = await Promise.all([1, 2, 3, 4].map((n) => set.checkOut({ branch: `task/${n}` })));
  const pushed = await Promise.all(all.map(async (checkout, n) => {
    await Deno.writeTextFile(`${checkout.path}/${n}.txt`, "x");
    await set.commit(checkout.path);
    return await set.mirrors.push(checkout);
  }));
  assert(pushed.every((one) => "commit" in one));
  assertEquals((await run(set.remote, "branch", "--list", "task/*")).split("\n").length, 4);
});

Deno.test("nothing planted in the checkout runs when the agent commits, fetches and pushes", async () => {
  await using set = await setUp();
  const checkout = await set.checkOut();
  const trace = `${set.folder.path}/trace`;
  for (
    const hook of ["pre-commit", "commit-msg", "post-commit", "pre-push", "reference-transaction", "post-checkout"]
  ) {
    await plant(`${checkout.path}/.git/hooks/${hook}`, `echo ${hook} >> ${trace}`);
  }
  await plant(`${checkout.path}/.git/evil`, `echo config >> ${trace}`);
  for (const key of ["core.fsmonitor", "core.sshCommand", "uploadpack.packObjectsHook", "core.hooksPath"]) {
    const value = key === "core.hooksPath" ? `${checkout.path}/.git/hooks` : `${checkout.path}/.git/evil`;
    await run(checkout.path, "config", key, value);
  }
  await Deno.writeTextFile(`${checkout.path}/new.txt`, "new\n");
  await set.commit(checkout.path);
  assert("commit" in await set.mirrors.push(checkout));
  assertEquals(await Deno.readTextFile(trace).catch(() => "nothing ran"), "nothing ran");
});

Deno.test("a push that the remote refuses is a warning with git's last lines, and nothing is forced", async () => {
  await using set = await setUp();
  await plant(
    `${set.remote}/hooks/pre-receive`,
    "echo 'the key ghp_abcdefghijklmnopqrstuvwxyz is not welcome' >&2; exit 1",
  );
  const checkout = await set.checkOut();
  await Deno.writeTextFile(`${checkout.path}/new.txt`, "new\n");
  await set.commit(checkout.path);
  const refused = await set.mirrors.push(checkout);
  assert("warning" in refused);
  assertStringIncludes(refused.warning, `The branch ${BRANCH} could not be pushed`);
  assertStringIncludes(refused.warning, "the key [secret] is not welcome");

  await Deno.remove(`${set.remote}/hooks/pre-receive`);
  const theirs = await addCommit(set.folder.path, set.remote, { branch: BRANCH, files: { "theirs.txt": "x" } });
  assert("warning" in await set.mirrors.push(checkout));
  assertEquals(await run(set.remote, "rev-parse", BRANCH), theirs);
});

Deno.test("the branch goes on where the last run left it, and else gets a suffix", async () => {
  await using set = await setUp();
  const commit = await addCommit(set.folder.path, set.remote, { branch: BRANCH, files: { "a.txt": "a" } });
  const onwards = await set.checkOut({ outputCommit: commit });
  assertEquals([onwards.branch, onwards.base], [BRANCH, commit]);
  assertEquals(await set.mirrors.push(onwards), { nothing: true });
  const aside = await set.checkOut();
  assertEquals([aside.branch, aside.base], [`${BRANCH}-2`, await run(set.remote, "rev-parse", "main")]);
});

Deno.test("the branch is decided from what the remote has", () => {
  const wanted = { branch: "task/1", baseBranch: "main", outputCommit: "c1" };
  const choose = (heads: Record<string, string>, change = {}) =>
    chooseBranch({ ...wanted, ...change }, new Map(Object.entries(heads)));
  assertEquals(choose({ main: "m" }), { branch: "task/1", base: "m" });
  assertEquals(choose({ main: "m", "task/1": "c1" }), { branch: "task/1", base: "c1" });
  assertEquals(choose({ main: "m", "task/1": "c2" }), { branch: "task/1-2", base: "m" });
  assertEquals(choose({ main: "m", "task/1": "c2", "task/1-2": "c1" }), { branch: "task/1-2", base: "c1" });
  assertEquals(choose({ main: "m", "task/1": "x", "task/1-2": "y" }), { branch: "task/1-3", base: "m" });
  assertEquals(choose({ main: "m" }, { branch: null }), { branch: "main", base: "m" });
  assertEquals(choose({}), { branch: "task/1", base: null });
  const onwards = { baseBranch: "task/0", fallbackBranch: "main" };
  assertEquals(choose({ main: "m", "task/0": "c0" }, onwards), { branch: "task/1", base: "c0" });
  assertEquals(choose({ main: "m" }, onwards), { branch: "task/1", base: "m" }, "merged and deleted");
});

Deno.test("a repository without a commit works, and so does one that got its first from us", async () => {
  await using set = await setUp(emptyRepository);
  const checkout = await set.checkOut();
  assertEquals([checkout.branch, checkout.base], [BRANCH, null]);
  await set.commit(checkout.path);
  await Deno.writeTextFile(`${checkout.path}/first.txt`, "first\n");
  await set.commit(checkout.path);
  assert("commit" in await set.mirrors.push(checkout));
  assertEquals(await run(set.remote, "log", "--format=%s", BRANCH), "Do it");
});

Deno.test("what cannot be cloned is told in git's words, a missing base branch in ours", async () => {
  await using set = await setUp();
  const wanted = { baseBranch: "main", branch: BRANCH, outputCommit: null, path: `${set.folder.path}/none` };
  await assertRejects(
    () => set.mirrors.checkOut({ ...wanted, repositoryUrl: `${set.folder.path}/missing.git` }),
    Error,
    "does not appear to be a git repository",
  );
  await assertRejects(() => set.checkOut({ baseBranch: "trunk" }), Error, "has no branch “trunk”");
  const strict = new Mirrors(configOf(set.dataDir, { gitAllowFile: false }), QUIET);
  await assertRejects(() => strict.checkOut({ ...wanted, repositoryUrl: set.remote }), Error, "'file' not allowed");
  await assertRejects(
    () => set.mirrors.checkOut({ ...wanted, repositoryUrl: "ext::sh -c 'exit 1'" }),
    Error,
    "'ext' not allowed",
  );
});

Deno.test("mirrors over the limit go, oldest first, but never one that is borrowed", async () => {
  await using set = await setUp();
  await set.checkOut();
  const count = () => [...Deno.readDirSync(`${set.dataDir}/mirrors`)].length;
  const strict = new Mirrors(configOf(set.dataDir, { mirrorCacheMaxBytes: 10 }), QUIET);
  await strict.evict([set.remote]);
  assertEquals(count(), 1);
  await strict.evict([]);
  assertEquals(count(), 0);
  await set.checkOut();
  assertEquals(count(), 1);
});
