import { assertEquals } from "@std/assert";
import { Commands, type CommandTarget } from "../../../agent/node/commands.ts";
import { Inbox } from "../../../agent/store/inbox.ts";
import { type CommandFrame, commandFrame } from "../../../lib/wire/control.ts";
import { OTHER_WORKSPACE, silent, withDatabase, WORKSPACE } from "../store/fixture.ts";

const MESSAGE = "0197f000-0000-7000-8000-0000000000bb";

/** Notes what it is told; `during` runs inside each call. */
function makeTarget(told: string[], during: (entry: string) => Promise<void> = () => Promise.resolve()): CommandTarget {
  const note = (entry: string) => {
    told.push(entry);
    return during(entry);
  };
  return {
    start: (id, run) => note(`start ${id} ${run}`),
    beginAnew: (id) => note(`anew ${id}`),
    stop: (id, { keep }) => note(`stop ${id} ${keep}`),
    sendPrompt: (id, { messageId, text }) => note(`prompt ${id} ${messageId} ${text}`),
    steerPrompt: (id, { messageId, into, text }) => note(`steer ${id} ${messageId} ${into} ${text}`),
    cancelPrompt: (id, messageId) => note(`cancel ${id} ${messageId}`),
    openRelay: (id, relayId) => void note(`relay ${id} ${relayId}`),
    answerPermission: (id, { requestId, outcome, optionId, by }) =>
      void note(`permission ${id} ${requestId} ${outcome} ${optionId} ${by}`),
    drain: () => void note("drain"),
  };
}

function frame(seq: number, fields: Record<string, unknown>): CommandFrame {
  return commandFrame.parse({
    type: "command",
    commandId: crypto.randomUUID(),
    seq,
    workspaceId: WORKSPACE,
    ...fields,
  });
}

const start = (seq: number, workspaceId = WORKSPACE) => frame(seq, { kind: "workspace.start", run: 1, workspaceId });
const stop = (seq: number, workspaceId = WORKSPACE) =>
  frame(seq, { kind: "workspace.stop", run: 1, keep: true, workspaceId });

Deno.test("every kind of command reaches the workspaces, in order, and is then noted as applied", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    const told: string[] = [];
    for (
      const command of [
        start(1),
        frame(2, { kind: "prompt.send", messageId: MESSAGE, text: "go on" }),
        frame(3, { kind: "prompt.cancel", messageId: MESSAGE }),
        stop(4),
        frame(5, { kind: "noop" }),
        frame(6, { kind: "permission.respond", requestId: MESSAGE, outcome: "answered", optionId: "yes", by: "ada" }),
        frame(7, { kind: "workspace.start", run: 1, again: true }),
        frame(8, { kind: "prompt.steer", messageId: MESSAGE, into: OTHER_WORKSPACE, text: "hurry" }),
      ]
    ) await inbox.store(command);
    await using commands = new Commands({ inbox, target: makeTarget(told), log: silent });
    await commands.apply();
    await commands.settled();
    assertEquals(told, [
      `start ${WORKSPACE} 1`,
      `prompt ${WORKSPACE} ${MESSAGE} go on`,
      `cancel ${WORKSPACE} ${MESSAGE}`,
      `stop ${WORKSPACE} true`,
      `permission ${WORKSPACE} ${MESSAGE} answered yes ada`,
      `anew ${WORKSPACE}`,
      `steer ${WORKSPACE} ${MESSAGE} ${OTHER_WORKSPACE} hurry`,
    ]);
    assertEquals(await inbox.pending(), []);
    await inbox.store(frame(9, { kind: "node.drain" }));
    await commands.apply();
    await commands.settled();
    assertEquals(told.at(-1), "drain");
  }));

Deno.test("what was stored and not applied before a restart comes first, and what was applied never again", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    const told: string[] = [];
    {
      const entered = Promise.withResolvers<void>();
      const crash = Promise.withResolvers<void>();
      const target = makeTarget(told, (entry) => {
        if (!entry.startsWith("stop")) return Promise.resolve();
        entered.resolve();
        return crash.promise;
      });
      const commands = new Commands({ inbox, target, log: silent });
      await inbox.store(start(1));
      await inbox.store(stop(2));
      await commands.apply();
      await entered.promise;
      const ended = commands[Symbol.asyncDispose]();
      crash.reject(new Error("crash"));
      await ended;
    }
    told.length = 0;
    await inbox.store(start(3));
    await using commands = new Commands({ inbox, target: makeTarget(told), log: silent });
    await commands.apply();
    await commands.settled();
    assertEquals(told, [`stop ${WORKSPACE} true`, `start ${WORKSPACE} 1`]);
  }));

Deno.test("commands of one workspace wait for each other, those of another do not", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    const told: string[] = [];
    const held = Promise.withResolvers<void>();
    const other = Promise.withResolvers<void>();
    const target = makeTarget(told, (entry) => {
      if (entry.includes(OTHER_WORKSPACE)) other.resolve();
      return entry === `start ${WORKSPACE} 1` ? held.promise : Promise.resolve();
    });
    await using commands = new Commands({ inbox, target, log: silent });
    for (const command of [start(1), stop(2), start(3, OTHER_WORKSPACE)]) await inbox.store(command);
    await Promise.all([commands.apply(), commands.apply()]);
    await other.promise;
    assertEquals(told, [`start ${WORKSPACE} 1`, `start ${OTHER_WORKSPACE} 1`]);
    held.resolve();
    await commands.settled();
    assertEquals(told.slice(2), [`stop ${WORKSPACE} true`]);
  }));

Deno.test("a command that fails is tried again, and one that always fails does not stop those after it", () =>
  withDatabase(async (db) => {
    const inbox = new Inbox(db);
    const told: string[] = [];
    const target = makeTarget(told, (entry) => {
      const tries = told.filter((other) => other === entry).length;
      const enough = entry.startsWith("start") ? tries >= 2 : entry.startsWith("prompt");
      return enough ? Promise.resolve() : Promise.reject(new Error("no"));
    });
    await using commands = new Commands({ inbox, target, log: silent, retry: { initialMs: 1, maxMs: 2 } });
    await inbox.store(start(1));
    await inbox.store(stop(2));
    await inbox.store(frame(3, { kind: "prompt.send", messageId: MESSAGE, text: "x" }));
    await commands.apply();
    await commands.settled();
    assertEquals(told.map((entry) => entry.split(" ")[0]), [
      "start",
      "start",
      ..."stop ".repeat(5).trim().split(" "),
      "prompt",
    ]);
    assertEquals(await inbox.pending(), []);
  }));
