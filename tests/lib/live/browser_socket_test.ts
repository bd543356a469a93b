/** The browser's live socket over the composed edge: greeting, replay, cursors, subscriptions, access. */
import { assert, assertEquals } from "@std/assert";
import { writeCursor } from "../../../lib/live/cursor.ts";
import { change } from "../../../lib/store/change.ts";
import { projectTopic, userKey } from "../../../lib/store/keys.ts";
import type { ServerFrame } from "../../../lib/wire/feed.ts";
import { type Client, startTestEdge, type TestEdge } from "../../edge.ts";
import { newMessage } from "../../fakes/agent.ts";
import { LiveClient } from "../../live_client.ts";
import { type RunningTask, startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "./follower.ts";

/** The cursor that a page would be rendered with now. */
async function cursorNow(test: TestEdge, projectId: string): Promise<string> {
  return writeCursor({ versionstamp: await test.edge.live.cursor(projectTopic(projectId)), at: test.edge.clock() });
}

/** A follower of the task's project and session that misses nothing from now on. */
async function follow(running: RunningTask, after?: string): Promise<SocketFollower> {
  const cursor = after ?? await cursorNow(running.test, running.projectId);
  const path = `/api/projects/${running.projectId}/ws?after=${cursor}&session=${running.sessionId}`;
  return SocketFollower.on(running.test, path, running.test.admin);
}

function seqs(frames: ServerFrame[]): number[] {
  return frames.flatMap((frame) => frame.type === "message.new" ? [frame.message.seq] : []);
}

Deno.test("a socket is greeted with the protocol and the cursor from which it follows", async () => {
  await using running = await startRunningTask();
  await using follower = SocketFollower.on(
    running.test,
    `/api/projects/${running.projectId}/ws`,
    running.test.admin,
  );
  const hello = await follower.first("hello");
  assertEquals(hello.protocol, 1);
  await using second = await follow(running, hello.cursor);
  await running.post(running.batch("a"));
  await second.first("session.updated");
  assertEquals(second.frames.map((frame) => frame.type), ["hello", "message.new", "session.updated"]);
});

Deno.test("only the last frame of a commit carries the cursor, so a drop half way repeats the whole commit", async () => {
  await using running = await startRunningTask();
  await using follower = await follow(running);
  const { cursor } = await follower.first("hello");
  await running.post(running.batch("a", "b", "c"));
  await follower.first("session.updated");
  const frames = follower.frames.slice(1);
  assertEquals(frames.map((frame) => frame.type), ["message.new", "message.new", "message.new", "session.updated"]);
  assertEquals(frames.map((frame) => "cursor" in frame), [false, false, false, true]);
  // Whoever had only some of the frames still has the cursor of before.
  await using again = await follow(running, cursor);
  await again.first("session.updated");
  assertEquals(again.frames.slice(1).map((frame) => frame.type), frames.map((frame) => frame.type));
  // Whoever had the last one gets nothing of it again.
  await using after = await follow(running, follower.cursor);
  await running.post(running.batch("d"));
  await after.first("session.updated");
  assertEquals(seqs(after.frames), [5]);
});

Deno.test("after a drop every entity comes once in its newest state, and every message", async () => {
  await using running = await startRunningTask();
  const { test, projectId } = running;
  const cursor = await cursorNow(test, projectId);
  const task = (await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description: "x" })).body;
  for (let i = 1; i <= 5; i++) {
    await test.admin.call(`PATCH /api/projects/${projectId}/tasks/${task.id}`, { title: `title ${i}` });
    await running.post(running.batch(`${i}a`, `${i}b`));
  }
  await using follower = await follow(running, cursor);
  await running.post(running.batch("end"));
  const isOwn = ({ session }: { session: { id: string } }) => session.id === running.sessionId;
  await follower.until(() => seqs(follower.frames).includes(12));
  // It ends the commit that the message is in.
  await follower.first("session.updated", (frame) => isOwn(frame) && frame.session.lastSeq === 12);
  assertEquals(seqs(follower.frames), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  const titles = follower.ofType("task.updated").filter((frame) => frame.task.id === task.id);
  assertEquals(titles.map((frame) => frame.task.title), ["title 5"]);
  const updates = follower.frames.filter((frame) =>
    (frame.type === "session.updated" || frame.type === "session.created") && frame.session.id === task.sessionId
  );
  assertEquals(updates.length, 1);
  const own = follower.ofType("session.updated").filter(isOwn);
  // Once by the replay, and once more by the batch that came after it.
  assert(own.length <= 2 && own.at(-1)!.session.lastSeq === 12);
});

Deno.test("a cursor that is old, from elsewhere or nonsense asks for a resync, after which all is well", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const now = test.edge.clock();
  const versionstamp = await test.edge.live.cursor(projectTopic(running.projectId));
  const cursors = [
    writeCursor({ versionstamp, at: now - 50 * 60_000 }),
    writeCursor({ versionstamp, at: now + 120_000 }),
    writeCursor({ versionstamp: "ffffffffffffffff0000", at: now }),
    "nonsense",
    `${versionstamp}.`,
    `${versionstamp.toUpperCase()}x.abc`,
  ];
  for (const [i, cursor] of cursors.entries()) {
    await using follower = await follow(running, encodeURIComponent(cursor));
    const resync = await follower.first("resync");
    await running.post(running.batch(`after ${i}`));
    await follower.until(() => seqs(follower.frames).includes(i + 2));
    assertEquals(seqs(follower.frames), [i + 2], cursor);
    await using next = await follow(running, resync.cursor);
    await next.until(() => seqs(next.frames).includes(i + 2));
    assertEquals(next.ofType("resync"), []);
  }
  const fresh = writeCursor({ versionstamp, at: now - 49 * 60_000 });
  await using follower = await follow(running, fresh);
  await follower.until(() => seqs(follower.frames).length === cursors.length);
  assertEquals(follower.ofType("resync"), []);
});

Deno.test("a reader is at most 1,000 commits behind, else it starts anew", async () => {
  await using running = await startRunningTask();
  const { test, projectId } = running;
  const cursor = await cursorNow(test, projectId);
  const announce = async (times: number) => {
    for (let i = 0; i < times; i++) {
      await change(test.edge.store, (tx) => {
        tx.set(["meta", "filler"], i).announce(projectTopic(projectId), [
          "taskDeleted",
          running.taskId,
          running.sessionId,
        ]);
        return Promise.resolve();
      });
    }
  };
  await announce(1_000);
  await using near = await follow(running, cursor);
  await near.first("task.deleted");
  assertEquals(near.ofType("resync"), []);
  assertEquals(near.ofType("task.deleted").length, 1);
  await announce(1);
  await using far = await follow(running, cursor);
  assertEquals((await far.first("resync")).reason, "too far behind");
});

Deno.test("whoever subscribes late can fill what they missed: the session says how far it is", async () => {
  await using running = await startRunningTask();
  const path = `/api/projects/${running.projectId}/ws?after=${await cursorNow(running.test, running.projectId)}`;
  await using follower = SocketFollower.on(running.test, path, running.test.admin);
  await running.post(running.batch("missed"));
  const { session } = await follower.first("session.updated");
  assertEquals([session.lastSeq, follower.ofType("message.new")], [2, []]);
  follower.subscribe(running.sessionId);
  // The answer to a subscription is what is open in the session now.
  running.agent.sendFrame(liveFrame(running, { text: "grow" }));
  await until(follower, running);
  await running.post(running.batch("seen"));
  const { message } = await follower.first("message.new");
  const page = await running.test.admin.call(`GET ${running.session}/messages?after=1`);
  assertEquals(page.body.items.map((each: { content: string }) => each.content), ["missed", "seen"]);
  assertEquals(message.content, "seen");
});

/** Resolves when the subscription works: live text that is sent again and again arrives. */
async function until(follower: SocketFollower, running: RunningTask): Promise<void> {
  for (let tries = 0; follower.ofType("message.live").length === 0; tries++) {
    assert(tries < 1_000, "live text of a session that was subscribed to did not come");
    running.agent.sendFrame(liveFrame(running, { text: "grow" }));
    await running.readSession();
  }
}

const OPEN_ID = "01970000-0000-7000-8000-0000000000aa";

function liveFrame(running: RunningTask, change: { text: string; at?: number; rev?: number; messageId?: string }) {
  const { workspaceId } = running;
  return {
    type: "live" as const,
    workspaceId,
    messageId: OPEN_ID,
    role: "assistant" as const,
    rev: 1,
    at: 0,
    ...change,
  };
}

Deno.test("bodies of messages go to those who subscribed, the others learn that there are some", async () => {
  await using running = await startRunningTask();
  const { test, projectId } = running;
  const draft = (await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description: "secret plan" })).body;
  const cursor = await cursorNow(test, projectId);
  await using follower = await follow(running, cursor);
  await using other = SocketFollower.on(test, `/api/projects/${projectId}/ws?after=${cursor}`, test.admin);
  const reader = `/api/projects/${projectId}/ws?after=${cursor}&session=${draft.sessionId}`;
  await using drafts = SocketFollower.on(test, reader, test.admin);
  await test.admin.call(`PATCH /api/projects/${projectId}/tasks/${draft.id}`, { description: "another plan" });
  await running.post(running.batch("a"));
  for (const each of [follower, other, drafts]) {
    await each.first("session.updated", (frame) => frame.session.lastSeq === 2);
  }
  assertEquals([follower, other, drafts].map((each) => each.ofType("message.new").length), [1, 0, 0]);
  assertEquals([follower, other, drafts].map((each) => each.ofType("message.updated").length), [0, 0, 1]);
  assertEquals(drafts.ofType("message.updated")[0]!.message.content, "another plan");
});

Deno.test("a session of another project cannot be followed, neither at once nor later", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const stranger = await test.addUser("stranger");
  const mine = (await stranger.call("POST /api/projects", {
    name: "mine",
    repositoryUrl: "https://git.example.org/mine.git",
  })).body;
  running.agent.sendFrame(liveFrame(running, { text: "not for strangers" }));
  const path = `/api/projects/${mine.id}/ws?session=${running.sessionId}&after=${await cursorNow(test, mine.id)}`;
  await using follower = SocketFollower.on(test, path, stranger);
  await follower.first("hello");
  follower.subscribe(running.sessionId);
  follower.subscribe(crypto.randomUUID());
  await running.post(running.batch("a"));
  for (let i = 0; i < 5; i++) {
    const task = await stranger.call(`POST /api/projects/${mine.id}/tasks`, { description: `own ${i}` });
    await follower.first("task.updated", (frame) => frame.task.id === task.body.id);
  }
  const own = new Set(["hello", "session.created", "session.updated", "task.updated"]);
  assertEquals(follower.frames.filter((frame) => !own.has(frame.type)), []);
  assert(follower.ofType("session.updated").every((frame) => frame.session.projectId === mine.id));
});

Deno.test("two sockets on two projects get each their own", async () => {
  await using test = await startTestEdge();
  const projects = [await test.addProject(), await test.addProject()];
  const followers = await Promise.all(projects.map(async ({ id }) => {
    return SocketFollower.on(test, `/api/projects/${id}/ws?after=${await cursorNow(test, id)}`, test.admin);
  }));
  await using _a = followers[0]!;
  await using _b = followers[1]!;
  const add = (i: number, description: string) =>
    test.admin.call(`POST /api/projects/${projects[i]!.id}/tasks`, { description });
  await Promise.all([add(0, "a"), add(1, "b"), add(0, "c"), add(1, "d")]);
  for (const [i, last] of [[0, "ac"], [1, "bd"]] as const) {
    await followers[i]!.until(() =>
      new Set(followers[i]!.ofType("task.updated").map((each) => each.task.id)).size === 2
    );
    const titles = new Set(followers[i]!.ofType("task.updated").map((frame) => frame.task.title));
    assertEquals([...titles].toSorted().join(""), last);
  }
});

Deno.test("of more than twenty sessions looked at, the last twenty are followed", async () => {
  await using running = await startRunningTask();
  const { test, projectId } = running;
  const cursor = await cursorNow(test, projectId);
  await using follower = SocketFollower.on(test, `/api/projects/${projectId}/ws?after=${cursor}`, test.admin);
  await follower.first("hello");
  const sessions: string[] = [];
  for (let i = 0; i < 25; i++) {
    const task = await test.admin.call(`POST /api/projects/${projectId}/tasks`, { description: `task ${i}` });
    sessions.push(task.body.sessionId);
    follower.subscribe(task.body.sessionId);
  }
  follower.subscribe(running.sessionId);
  await until(follower, running);
  await running.post(running.batch("seen"));
  assertEquals((await follower.first("message.new")).message.content, "seen");
});

Deno.test("text that grows reaches those who follow, whole for who comes later, and ends when it is stored", async () => {
  await using running = await startRunningTask();
  await using early = await follow(running);
  await running.post(running.batch("first"));
  await early.first("message.new");
  const { agent } = running;
  agent.sendFrame(liveFrame(running, { text: "Hel", rev: 1 }));
  agent.sendFrame(liveFrame(running, { text: "lo", at: 3, rev: 2 }));
  agent.sendFrame(liveFrame(running, { text: "misplaced", at: 9, rev: 3 }));
  agent.sendFrame(liveFrame(running, { text: "!", at: 5, rev: 4 }));
  await early.first("message.live", (frame) => frame.rev === 4);
  const pieces = early.ofType("message.live").map((frame) => [frame.at, frame.text]);
  assertEquals(pieces, [[0, "Hel"], [3, "lo"], [5, "!"]]);
  await using late = await follow(running);
  const whole = await late.first("message.live");
  assertEquals([whole.at, whole.text, whole.sessionId], [0, "Hello!", running.sessionId]);
  assert(!("cursor" in whole));
  await running.post([newMessage(running.sessionId, "Hello!", { messageId: OPEN_ID })]);
  await using after = await follow(running);
  await running.post(running.batch("next"));
  await after.first("message.new");
  await after.first("session.updated");
  assertEquals(after.ofType("message.live"), []);
});

Deno.test("nodes of a user are told on the user's own topic and nobody else's", async () => {
  await using running = await startRunningTask();
  const { test } = running;
  const stranger = await test.addUser("stranger");
  await using mine = SocketFollower.on(test, "/api/ws", test.admin);
  await using theirs = SocketFollower.on(test, "/api/ws", stranger);
  await Promise.all([mine.first("hello"), theirs.first("hello")]);
  while (mine.ofType("node.updated").length === 0) await running.agent.heartbeat();
  assertEquals(mine.ofType("node.updated")[0]!.node.id, running.agent.nodeId);
  assertEquals(theirs.frames.map((frame) => frame.type), ["hello"]);
});

Deno.test("a project's followers are told how its machine is, and nothing of its owner's account or other work", async () => {
  await using running = await startRunningTask();
  const { test, projectId, agent, workspaceId } = running;
  const other = await test.addProject();
  const mia = await test.addUser("mia");
  await test.admin.call(`POST /api/projects/${projectId}/members`, { login: "mia" });
  await using member = SocketFollower.on(test, `/api/projects/${projectId}/ws`, mia);
  await using elsewhere = SocketFollower.on(test, `/api/projects/${other.id}/ws`, test.admin);
  await Promise.all([member.first("hello"), elsewhere.first("hello")]);
  assertEquals((await test.admin.call(`POST /api/nodes/${agent.nodeId}/drain`)).body.providerRef !== null, true);
  const { node } = await member.first("node.updated");
  assertEquals([node.id, node.draining, node.health], [agent.nodeId, true, "ok"]);
  assertEquals([node.providerRef, node.priceHour, node.costSoFar], [null, null, null]);
  assertEquals(node.claims.map((claim) => claim.workspaceId), [workspaceId]);
  assertEquals((await mia.call(`GET /api/nodes/${agent.nodeId}`)).status, 404);
  assertEquals(elsewhere.frames.map((frame) => frame.type), ["hello"]);
});

Deno.test("a socket without sign-in, of a foreign project, or with a wrong query is refused before it opens", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const stranger = await test.addUser("stranger");
  const refusal = async (path: string, by: Parameters<typeof SocketFollower.on>[2]) => {
    await using follower = SocketFollower.on(test, path, by);
    return await follower.end();
  };
  assertEquals(await refusal(`/api/projects/${id}/ws`, { key: "hk_wrong_wrong_wrong_wrong" }), 401);
  assertEquals(await refusal(`/api/projects/${id}/ws`, stranger), 404);
  assertEquals(await refusal(`/api/projects/${crypto.randomUUID()}/ws`, test.admin), 404);
  assertEquals(await refusal(`/api/projects/nonsense/ws`, test.admin), 400);
  assertEquals(await refusal(`/api/projects/${id}/ws?session=nonsense`, test.admin), 400);
  assertEquals(await refusal(`/api/projects/${id}/ws?after=${"x".repeat(201)}`, test.admin), 400);
  const plain = await test.admin.call(`GET /api/projects/${id}/ws`);
  assertEquals([plain.status, plain.body.error], [400, "invalid_request"]);
});

Deno.test("a frame that is none of the protocol ends the socket", async () => {
  await using test = await startTestEdge();
  const { id } = await test.addProject();
  const wrong = [
    "",
    "{",
    "null",
    '{"type":"publish"}',
    '{"type":"subscribe","sessionId":"x"}',
    `"${"x".repeat(5_000)}"`,
  ];
  for (const frame of wrong) {
    await using follower = SocketFollower.on(test, `/api/projects/${id}/ws`, test.admin);
    await follower.first("hello");
    follower.send(frame);
    assertEquals(await follower.end(), 4400, frame.slice(0, 50));
  }
});

Deno.test("a socket ends soon after its reader has lost the right to read", async (t) => {
  await using test = await startTestEdge({ env: { LIVE_RECHECK_MS: "50" } });
  const { id } = await test.addProject();
  const follower = (by: Client) => SocketFollower.on(test, `/api/projects/${id}/ws`, by);
  const addMember = async (login: string) => {
    const user = await test.addUser(login);
    await test.admin.call(`POST /api/projects/${id}/members`, { login });
    return user;
  };

  await t.step("a member who was removed: 4403", async () => {
    const user = await addMember("leaver");
    await using socket = follower(user);
    await socket.first("hello");
    await test.admin.call(`DELETE /api/projects/${id}/members/${user.user.id}`);
    assertEquals(await socket.end(), 4403);
  });

  await t.step("an API key that was revoked: 4401", async () => {
    const user = await addMember("keyless");
    await using socket = follower(user);
    await socket.first("hello");
    const [key] = (await user.call("GET /api/keys")).body.items;
    assertEquals((await user.call(`DELETE /api/keys/${key.id}`)).status, 204);
    assertEquals(await socket.end(), 4401);
  });

  await t.step("a login that ended: 4401", async () => {
    const user = await addMember("visitor");
    const response = await fetch(`${test.url}/api/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ apiKey: user.key }),
    });
    await response.body?.cancel();
    const cookie = response.headers.get("set-cookie")!.split(";")[0]!;
    await using socket = SocketFollower.on(test, `/api/projects/${id}/ws`, { cookie, origin: test.url });
    await socket.first("hello");
    await fetch(`${test.url}/api/auth/logout`, { method: "POST", headers: { cookie, origin: test.url } });
    assertEquals(await socket.end(), 4401);
  });

  await t.step("a user who was disabled: 4401", async () => {
    const user = await addMember("disabled");
    await using socket = follower(user);
    await socket.first("hello");
    await test.edge.store.kv.set(userKey(user.user.id), { ...user.user, disabled: true });
    assertEquals(await socket.end(), 4401);
  });

  await t.step("everybody else stays", async () => {
    await using socket = follower(test.admin);
    await socket.first("hello");
    const tasks: string[] = [];
    for (let i = 0; i < 30; i++) {
      tasks.push((await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "x" })).body.id);
    }
    await socket.first("task.updated", (frame) => frame.task.id === tasks.at(-1));
  });
});

Deno.test("a socket without a cursor misses nothing after its hello, also while others write", async () => {
  await using test = await startTestEdge({ still: true });
  const { id } = await test.addProject();
  let writing = true;
  const write = async () => {
    while (writing) await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "one more" });
  };
  const writers = [write(), write()];
  const sockets: LiveClient[] = [];
  for (let i = 0; i < 15; i++) sockets.push(await LiveClient.open(test, id));
  writing = false;
  await Promise.all(writers);
  const last = (await test.admin.call(`POST /api/projects/${id}/tasks`, { description: "the last" })).body;
  for (const socket of sockets) {
    const hello = socket.frames[0] as { cursor: string };
    await socket.task(last.id, "draft");
    await using replayed = await LiveClient.open(test, id, hello.cursor);
    await replayed.task(last.id, "draft");
    assertEquals(tasksOf(replayed).filter((task) => !tasksOf(socket).includes(task)), []);
    await socket[Symbol.asyncDispose]();
  }
});

function tasksOf({ frames }: LiveClient): string[] {
  return frames.flatMap((frame) => frame.type === "task.updated" ? [frame.task.id] : []);
}
