/** Private repositories over https: a real git against a real host, and everywhere the token must not be. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { adviseOnAccess } from "../../../agent/node/git_access.ts";
import { commitLeftovers } from "../../../agent/node/leftovers.ts";
import { Mirrors } from "../../../agent/node/mirror.ts";
import { allowedEnvironment } from "../../../agent/process/environment.ts";
import { createLogger } from "../../../lib/log.ts";
import type { GitCredential } from "../../../lib/wire/credential.ts";
import { GitHost, makeCertificate } from "../../fakes/git_host.ts";
import { FakeEdge } from "./fake_edge.ts";
import { startNode } from "./node_harness.ts";
import { makeRepository, plant, run, temporaryFolder } from "./repository.ts";

const TASK = "018f0000-0000-7000-8000-000000000001";
const BRANCH = `task/${TASK}`;
const SETTINGS = "https://hearth.example/credentials";

async function setUp() {
  const folder = await temporaryFolder();
  await Deno.mkdir(`${folder.path}/data`);
  const remote = await makeRepository(folder.path);
  const certificate = await makeCertificate(folder.path);
  const host = new GitHost(folder.path, certificate);
  const lines: string[] = [];
  const environment: Record<string, string> = {
    ...allowedEnvironment(Deno.env.toObject()),
    GIT_SSL_CAINFO: certificate.path,
  };
  const config = {
    dataDir: `${folder.path}/data`,
    controlPlaneUrl: "https://hearth.example",
    gitAllowFile: false,
    childEnvironment: environment,
    mirrorCacheMaxBytes: 1e12,
    gitAuthorName: "Hearth",
    gitAuthorEmail: "agent@hearth.invalid",
  };
  const mirrors = new Mirrors(config, createLogger("debug", (line) => lines.push(line)));
  const [username, password] = host.login.split(":") as [string, string];
  const credential: GitCredential = { host: host.host, username, password };
  const wanted = {
    repositoryUrl: host.urlOf("remote.git"),
    baseBranch: "main",
    branch: BRANCH,
    outputCommit: null,
    path: `${folder.path}/data/checkout`,
  };
  return {
    folder,
    remote,
    host,
    lines,
    config,
    mirrors,
    credential,
    wanted,
    certificate,
    /** What git said when it was not let in. */
    refused: async (given: GitCredential | null) =>
      (await assertRejects(() => mirrors.checkOut({ ...wanted, credential: given }), Error)).message,
    async [Symbol.asyncDispose]() {
      await host[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Every process that was started, with its arguments and its environment, as a program of that name sees them. */
async function traceProgram(folder: string, name: string): Promise<{ path: string; read(): Promise<string> }> {
  const found = (await new Deno.Command("sh", { args: ["-c", `command -v ${name}`] }).output()).stdout;
  const real = new TextDecoder().decode(found).trim();
  const trace = `${folder}/trace-${name}`;
  const look = `{ tr '\\0' ' ' < /proc/$$/cmdline; tr '\\0' ' ' < /proc/$PPID/cmdline; env; } >> ${trace}`;
  await plant(`${folder}/bin/${name}`, `${look}\nexec ${real} "$@"`);
  return { path: `${folder}/bin`, read: () => Deno.readTextFile(trace) };
}

async function readTree(folder: string): Promise<string> {
  const texts: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) texts.push(await readTree(path));
    else if (entry.isFile) texts.push(new TextDecoder("latin1").decode(await Deno.readFile(path)));
  }
  return texts.join("\n");
}

Deno.test("a private repository is cloned and pushed with the stored token, which is left nowhere", async () => {
  await using set = await setUp();
  const trace = await traceProgram(set.folder.path, "git");
  const environment = { ...set.config.childEnvironment, PATH: `${trace.path}:${set.config.childEnvironment.PATH}` };
  const config = { ...set.config, childEnvironment: environment };
  const mirrors = new Mirrors(config, createLogger("debug", (line) => set.lines.push(line)));
  const checkout = await mirrors.checkOut({ ...set.wanted, credential: set.credential });
  await Deno.writeTextFile(`${set.wanted.path}/new.txt`, "new\n");
  await commitLeftovers(set.wanted.path, { config, title: "Do it", taskId: TASK });
  const pushed = await mirrors.push({
    ...checkout,
    ...set.wanted,
    workspaceId: crypto.randomUUID(),
    credential: set.credential,
  });
  assertEquals(pushed, { commit: await run(set.remote, "rev-parse", BRANCH) });
  assertEquals(await run(set.wanted.path, "remote", "get-url", "origin"), set.wanted.repositoryUrl);

  const seen = await trace.read();
  assertStringIncludes(seen, "push");
  const { password } = set.credential;
  assert(!seen.includes(password), "the token was an argument or a variable");
  assert(!(await readTree(set.config.dataDir)).includes(password), "the token lies in a file");
  assert(!set.lines.join("\n").includes(password), "the token is in the log");
});

Deno.test("a run on a private repository pushes its work, and its coding agent is not given the token", async () => {
  await using set = await setUp();
  await using edge = new FakeEdge();
  const prompt = "run env\nrun cat .git/config\nwrite new.txt: new";
  const task = edge.addTask(set.wanted.repositoryUrl, prompt, { gitCredential: set.credential });
  const environment = { GIT_SSL_CAINFO: set.certificate.path };
  await using node = await startNode(set.folder.path, edge, { environment });
  await node.workspaces.start(task.workspaceId, 1);
  const ended = await edge.until(({ calls }) => calls.find(({ kind }) => kind === "callback"));
  assertEquals([ended.body.toStatus, ended.body.outputBranch, ended.body.warning], [
    "completed",
    task.branch,
    undefined,
  ]);
  assertEquals(await run(set.remote, "rev-parse", task.branch!), ended.body.outputCommit);
  const said = JSON.stringify([edge.messages, edge.calls, node.logged]);
  assertStringIncludes(said, "GIT_SSL_CAINFO");
  for (const text of [said, await readTree(node.db.dataDir)]) assert(!text.includes(set.credential.password));
});

Deno.test("a host other than the credential's is not told it, nor one that a redirect leads to", async () => {
  await using set = await setUp();
  await using elsewhere = new GitHost(set.folder.path, set.certificate);
  assertStringIncludes(
    await set.refused({ ...set.credential, host: elsewhere.host }),
    `${set.host.host} does not accept the Git credential`,
  );
  assertEquals(set.host.asked.filter(({ login }) => login !== null), []);

  // Before it asks who comes, and after.
  for (const early of [true, false]) {
    set.host.override = ({ login, path }) =>
      early || login !== null ? Response.redirect(`https://${elsewhere.host}${path}`, 302) : null;
    const message = await set.refused(set.credential);
    if (early) assertStringIncludes(message, `The address leads on to ${elsewhere.host}`);
  }
  assert(set.host.asked.some(({ login }) => login === set.host.login));
  assert(elsewhere.asked.length > 0);
  assertEquals(elsewhere.asked.filter(({ login }) => login !== null), []);
});

Deno.test("a redirect on the same host is followed with the token", async () => {
  await using set = await setUp();
  set.host.override = ({ path }) =>
    path.startsWith("/renamed/") ? Response.redirect(set.host.urlOf(path.replace("/renamed/", "")), 301) : null;
  const renamed = { ...set.wanted, repositoryUrl: set.host.urlOf("renamed/remote.git"), credential: set.credential };
  assertEquals((await set.mirrors.checkOut(renamed)).branch, BRANCH);
});

Deno.test("a wrong, a missing and a weak token each say what to do, and where", async () => {
  await using set = await setUp();
  assertStringIncludes(
    await set.refused({ ...set.credential, password: "a-token-that-is-wrong" }),
    `${set.host.host} does not accept the Git credential that you stored. Replace it at ${SETTINGS}`,
  );
  assertStringIncludes(await set.refused(null), `Store a Git credential for ${set.host.host} at ${SETTINGS}`);
  set.host.override = ({ login }) => login === null ? null : new Response("no", { status: 404 });
  assertStringIncludes(await set.refused(set.credential), "does not open it, if it is there");

  set.host.override = ({ login, path }) =>
    login !== null && path.includes("receive-pack") ? new Response("no", { status: 403 }) : null;
  const checkout = await set.mirrors.checkOut({ ...set.wanted, credential: set.credential });
  await Deno.writeTextFile(`${set.wanted.path}/new.txt`, "new\n");
  await commitLeftovers(set.wanted.path, { config: set.config, title: "Do it", taskId: TASK });
  const workspaceId = crypto.randomUUID();
  const options = { ...set.wanted, ...checkout, workspaceId, credential: set.credential };
  const pushed = await set.mirrors.push(options);
  assert("warning" in pushed);
  assertStringIncludes(pushed.warning, `The branch ${BRANCH} could not be pushed. The Git credential that you stored`);
  assertStringIncludes(pushed.warning, SETTINGS);
});

Deno.test("what has nothing to do with access gets no advice about credentials", () => {
  const access = { repositoryUrl: "https://git.example.org/a/b", settingsUrl: SETTINGS };
  assertEquals(adviseOnAccess("fatal: unable to access: Could not resolve host", access), null);
  assertEquals(adviseOnAccess("! [rejected] main -> main (non-fast-forward)", access), null);
  const overSsh = { ...access, repositoryUrl: "git@git.example.org:a/b" };
  assertEquals(adviseOnAccess("fatal: Authentication failed for 'x'", overSsh), null);
});
