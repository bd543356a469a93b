import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { wait } from "../../../lib/backoff.ts";
import { change } from "../../../lib/store/change.ts";
import { readNode } from "../../../lib/store/nodes.ts";
import { startTestEdge, type TestEdge } from "../../edge.ts";
import { LiveClient } from "../../live_client.ts";
import { type AdminResult, runAdmin } from "./run_admin.ts";

interface Bench {
  test: TestEdge;
  admin: (...args: string[]) => Promise<AdminResult>;
}

/** An edge on a file, and the admin's command line beside it on the same file. */
async function withEdge(work: (bench: Bench) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-admin-" });
  try {
    const data = { HEARTH_DATA_DIR: directory, HEARTH_KV: join(directory, "hearth.kv") };
    await using test = await startTestEdge({ env: data });
    const env = { ...data, PORT: new URL(test.url).port };
    await work({ test, admin: (...args) => runAdmin(args, env) });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("help, and what to do when the call, the data or the configuration is wrong", async () => {
  const empty = await Deno.makeTempDir();
  try {
    const env = { HEARTH_DATA_DIR: empty };
    const help = await runAdmin(["help"], env);
    assertEquals(help.code, 0);
    const names = [
      "users add",
      "users disable",
      "users github",
      "keys make",
      "signin-link",
      "nodes drain",
      "nodes destroy",
    ];
    for (const name of [...names, "tasks cancel", "openapi"]) assertStringIncludes(help.out, name);
    const wrong = [[], ["dance"], ["users", "dance"], ["users", "list", "x"], ["users", "add", "a", "--force"]];
    for (const args of wrong) {
      const { code, out, err } = await runAdmin(args, env);
      assertEquals([args, code, out], [args, 2, ""]);
      assertStringIncludes(err, "deno task admin help");
    }
    const none = await runAdmin(["users", "list"], env);
    assertEquals([none.code, none.out], [1, ""]);
    assertMatch(none.err, /There is no data at .*hearth\.kv\. Start Hearth once/);
    assertEquals(await Array.fromAsync(Deno.readDir(empty)), [], "nothing was made there");
    const config = await runAdmin(["users", "list"], { ...env, PORT: "high" });
    assertEquals(config.code, 78);
    assertStringIncludes(config.err, "PORT");
  } finally {
    await Deno.remove(empty, { recursive: true });
  }
});

Deno.test("users are added, listed, disabled and enabled, and the edge that runs knows it at once", () =>
  withEdge(async ({ test, admin }) => {
    const added = await admin("users", "add", "Ada");
    assertEquals([added.code, added.out], [0, "Added Ada (member).\n"]);
    assertStringIncludes(added.err, "LOCAL_PROVIDER_SHARED=1");
    const again = await admin("users", "add", "ada", "--admin");
    assertEquals([again.code, again.out], [1, ""]);
    assertStringIncludes(again.err, "already");

    const made = await admin("keys", "make", "ada");
    assertMatch(made.out, /^hk_[\w-]{43}\n$/);
    const me = () =>
      fetch(`${test.url}/api/me`, { headers: { authorization: `Bearer ${made.out.trim()}` } }).then(
        async (response) => {
          return { status: response.status, body: await response.json() };
        },
      );
    assertEquals((await me()).body.user.login, "Ada");
    assertEquals((await admin("users", "disable", "ada")).code, 0);
    assertEquals((await me()).status, 401);
    const refused = await admin("signin-link", "ada");
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.err, "users enable Ada");
    assertEquals((await admin("users", "enable", "ada")).code, 0);
    assertEquals((await me()).status, 200);

    const last = await admin("users", "disable", "admin");
    assertEquals(last.code, 1);
    assertStringIncludes(last.err, "last admin");
    const unknown = await admin("keys", "make", "eve");
    assertEquals([unknown.code, unknown.out], [1, ""]);

    const users = JSON.parse((await admin("users", "list", "--json")).out);
    const shown = users.map((user: Record<string, unknown>) => [user.login, user.role, user.disabled, user.keys]);
    assertEquals(shown, [["admin", "admin", false, 1], ["Ada", "member", false, 1]]);
    assertMatch((await admin("users", "list")).out, /^LOGIN +ROLE .*\nadmin +admin +no +1 .*\nAda +member +no +1 /);
  }));

Deno.test("an admin says on the command line who somebody is at GitHub", () =>
  withEdge(async ({ admin }) => {
    const added = await admin("users", "add", "Grace", "--github", "grace-hopper");
    assertEquals([added.code, added.out], [0, "Added Grace (member).\n"]);
    assertStringIncludes(added.err, "grace-hopper is Grace from then on");
    assertMatch((await admin("users", "list")).out, /\nGrace .* grace-hopper \(once signed in\) /);
    const other = await admin("users", "github", "admin", "--name", "Grace-Hopper");
    assertEquals([other.code, other.out], [1, ""]);
    assertStringIncludes(other.err, "users github Grace --none");
    for (const wrong of [[], ["--name", "../x"], ["--none", "--name", "grace"]]) {
      assertEquals((await admin("users", "github", "grace", ...wrong)).code, 2);
    }
    assertEquals((await admin("users", "github", "grace", "--none")).code, 0);
    assertEquals((await admin("users", "github", "admin", "--name", "Grace-Hopper")).code, 0);
  }));

Deno.test("a sign-in link names the edge that runs and works once; without one it says so", () =>
  withEdge(async ({ test, admin }) => {
    const made = await admin("signin-link");
    assertStringIncludes(made.out, `${test.url}/signin/once/`);
    const use = async () => {
      const response = await fetch(made.out.trim(), { redirect: "manual" });
      await response.body?.cancel();
      return {
        status: response.status,
        signedIn: (response.headers.get("set-cookie") ?? "").includes("hearth_login="),
      };
    };
    assertEquals(await use(), { status: 303, signedIn: true });
    assertEquals(await use(), { status: 401, signedIn: false });

    // Another Hearth answers there, but not one on this data.
    await using other = await startTestEdge();
    const { HEARTH_DATA_DIR, HEARTH_KV } = test.edge.config;
    const env = { HEARTH_DATA_DIR, HEARTH_KV: HEARTH_KV!, PORT: new URL(other.url).port };
    const elsewhere = await runAdmin(["signin-link"], env);
    assertEquals(elsewhere.code, 0);
    assertStringIncludes(elsewhere.err, "No running Hearth was found");
  }));

Deno.test("a run that an admin cancels ends on the pages that are open", () =>
  withEdge(async ({ test, admin }) => {
    const project = await test.addProject({ name: "Project \u001b[31m" });
    await using live = await LiveClient.open(test, project.id);
    const body = { description: "wait 1000" };
    const { taskId } = (await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, body)).body;
    await live.until("a machine", (frame) => {
      return frame.type === "task.updated" && frame.task.executionStep === "provisioning_node";
    });
    const running = await admin("tasks", "list");
    assertStringIncludes(running.out, taskId);
    assert(!running.out.includes("\u001b"), "control characters stay out of the terminal");

    assertEquals((await admin("tasks", "cancel", taskId)).out, `Cancelled task ${taskId}.\n`);
    assertEquals((await live.task(taskId, "cancelled")).status, "cancelled");
    assertEquals((await admin("tasks", "list")).err, "There are none.\n");
    const again = await admin("tasks", "cancel", taskId);
    assertEquals(again.code, 1);
    assertStringIncludes(again.err, "under way");
    const all = JSON.parse((await admin("tasks", "list", `--project=${project.id}`, "--json")).out);
    assertEquals(all.map((task: Record<string, unknown>) => [task.id, task.status]), [[taskId, "cancelled"]]);
    assertEquals((await admin("tasks", "list", "--project", crypto.randomUUID())).code, 1);
    assertEquals((await admin("tasks", "list", "--project", "Sample")).code, 2);
  }));

Deno.test("a node is destroyed by the edge that runs, with work on it only by force", () =>
  withEdge(async ({ test, admin }) => {
    const project = await test.addProject();
    await using live = await LiveClient.open(test, project.id);
    const body = { description: "wait 1000" };
    const { taskId } = (await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, body)).body;
    await live.until("a machine", (frame) => {
      return frame.type === "task.updated" && frame.task.executionStep === "provisioning_node";
    });
    await test.loop.settled();
    const [node] = JSON.parse((await admin("nodes", "list", "--json")).out);
    assertEquals([node.owner, node.status, node.workspaces], ["admin", "provisioning", 1]);

    const drained = await admin("nodes", "drain", node.id);
    assertEquals(drained.out, `Node ${node.id} gets no new work.\n`);
    const busy = await admin("nodes", "destroy", node.id);
    assertEquals([busy.code, busy.out], [1, ""]);
    assertStringIncludes(busy.err, "--force");
    const destroyed = await admin("nodes", "destroy", node.id, "--force");
    assertEquals(destroyed.code, 0);
    assertStringIncludes(destroyed.err, test.url);
    assertEquals((await live.task(taskId, "failed", "cancelled")).status, "failed");
    assertEquals(test.provider.destroyed, [], "the command itself touches no machine");

    test.loop.ring();
    await test.loop.settled();
    assertEquals(test.provider.destroyed, [node.id]);
    assertEquals((await readNode(test.edge.store, node.id))?.status, "destroyed");
    assertStringIncludes((await admin("nodes", "destroy", node.id)).err, "destroyed already");
    assertEquals((await admin("nodes", "destroy", "all")).code, 2);
  }));

Deno.test("commands get through while the edge writes all the time", () =>
  withEdge(async ({ test, admin }) => {
    const stop = new AbortController();
    const writing = (async () => {
      for (let n = 0; !stop.signal.aborted; n++) {
        await change(test.edge.store, (tx) => Promise.resolve(tx.set(["meta", "busy"], n)));
        await wait(1);
      }
    })();
    const logins = ["one", "two", "three", "four"];
    const results = await Promise.all(logins.map((login) => admin("users", "add", login)));
    stop.abort();
    await writing;
    assertEquals(results.map(({ code, err }) => code === 0 ? 0 : err), [0, 0, 0, 0]);
    const users = JSON.parse((await admin("users", "list", "--json")).out);
    assertEquals(users.map((user: { login: string }) => user.login).sort(), ["admin", ...logins].sort());
  }));

Deno.test("sweep run asks the edge that runs, leaves no key behind, and is refused where none runs", async () => {
  await withEdge(async ({ test, admin }) => {
    const swept = await admin("sweep", "run", "--json");
    assertEquals(swept.code, 0, swept.err);
    const steps = JSON.parse(swept.out) as { step: string; mended: number | string }[];
    assert(steps.some(({ step }) => step === "nodes") && steps.every(({ mended }) => mended === 0), swept.out);
    const keys = (await test.admin.call("GET /api/keys")).body.items as { name: string }[];
    assertEquals(keys.filter(({ name }) => name === "sweep run"), []);
    const member = await test.addUser("mia");
    assertEquals((await member.call("POST /api/admin/sweep")).status, 403);
  });
  const directory = await Deno.makeTempDir({ prefix: "hearth-admin-" });
  try {
    const data = { HEARTH_DATA_DIR: directory, HEARTH_KV: join(directory, "hearth.kv") };
    await (await startTestEdge({ env: data }))[Symbol.asyncDispose]();
    await Deno.mkdir(directory, { recursive: true });
    const alone = await runAdmin(["sweep", "run"], { ...data, PORT: "1" });
    assertEquals([alone.code, alone.out], [1, ""]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("tasks retry starts a task that ended again, and nothing that runs", () =>
  withEdge(async ({ test, admin }) => {
    const project = await test.addProject();
    const { body } = await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "Do it" });
    const live = await admin("tasks", "retry", body.taskId);
    assertEquals([live.code, live.out], [1, ""]);
    await admin("tasks", "cancel", body.taskId);
    const again = await admin("tasks", "retry", body.taskId);
    assertEquals([again.code, again.out], [0, `Queued run 2 of task ${body.taskId}.\n`]);
    assertEquals((await admin("tasks", "retry", crypto.randomUUID())).code, 1);
  }));
