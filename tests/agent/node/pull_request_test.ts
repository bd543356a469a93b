import { assert, assertEquals } from "@std/assert";
import { openPullRequest, type PullRequest } from "../../../agent/node/pull_request.ts";
import { createLogger } from "../../../lib/log.ts";

const WANTED: PullRequest = {
  repositoryUrl: "https://github.com/team/app.git",
  branch: "task/1",
  base: "main",
  title: "Do it",
  body: "Hearth-Task: 1",
  credential: { host: "github.com", username: "x-access-token", password: "a-token-for-git" },
};
const MADE = { html_url: "https://github.com/team/app/pull/7" };

/** A GitHub that answers as `answer` says, with everything that it was asked. */
function startGitHub(answer: (request: Request) => Response) {
  const asked: { method: string; path: string; token: string | null; body: unknown }[] = [];
  const lines: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const text = await request.clone().text();
    const body: unknown = text === "" ? null : JSON.parse(text);
    asked.push({ method: request.method, path: pathname + search, token: request.headers.get("authorization"), body });
    return answer(request);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  const log = createLogger("debug", (line) => lines.push(line));
  return {
    asked,
    lines,
    open: (change: Partial<PullRequest> = {}) => openPullRequest({ ...WANTED, ...change }, log, url),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

Deno.test("a branch pushed to GitHub gets a draft pull request", async () => {
  await using hub = startGitHub(() => Response.json(MADE, { status: 201 }));
  assertEquals(await hub.open(), MADE.html_url);
  assertEquals(hub.asked, [{
    method: "POST",
    path: "/repos/team/app/pulls",
    token: "Bearer a-token-for-git",
    body: { title: "Do it", head: "task/1", base: "main", body: "Hearth-Task: 1", draft: true },
  }]);
});

Deno.test("one that is there already is taken", async () => {
  await using hub = startGitHub(({ method }) =>
    method === "POST" ? Response.json({ message: "Validation Failed" }, { status: 422 }) : Response.json([MADE])
  );
  assertEquals(await hub.open(), MADE.html_url);
  assertEquals(hub.asked.at(-1)!.path, "/repos/team/app/pulls?head=team%3Atask%2F1&state=open");
});

Deno.test("what GitHub does not allow or not answer well is no pull request, and holds up nothing", async () => {
  const answers = [
    () => Response.json({ message: "Resource not accessible" }, { status: 403 }),
    () => new Response("<html>", { status: 201 }),
    () => Response.json({ html_url: "javascript:alert(1)" }, { status: 201 }),
    () => Response.json({ message: "Draft pull requests are not supported" }, { status: 422 }),
    () => Response.redirect("http://127.0.0.1:9/"),
  ];
  for (const answer of answers) {
    await using hub = startGitHub(answer);
    assertEquals(await hub.open(), null);
    assert(!hub.lines.join().includes("a-token-for-git"));
  }
});

Deno.test("the token is shown to no other than GitHub, and only where it is GitHub's", async () => {
  await using hub = startGitHub(() => Response.json(MADE, { status: 201 }));
  const elsewhere = { ...WANTED.credential!, host: "git.example.org" };
  assertEquals(await hub.open({ credential: elsewhere }), null);
  assertEquals(await hub.open({ credential: null }), null);
  assertEquals(await hub.open({ repositoryUrl: "https://github.com.evil.example/team/app" }), null);
  assertEquals(await hub.open({ repositoryUrl: "https://github.com/team/app/../../other" }), null);
  assertEquals(hub.asked, []);
});
