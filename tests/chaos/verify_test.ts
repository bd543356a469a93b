/** The comparison itself: each way in which a message path can be wrong is found, and nothing else is. */
import { assertEquals, assertMatch } from "@std/assert";
import type { Message } from "../../lib/wire/message.ts";
import type { Line, Script } from "./script.ts";
import { type Facts, judge } from "./verify.ts";

const LINES: Line[] = ["one", "two", "three", "four"].map((content) => ({ role: "assistant", content, command: null }));
const COMMAND: Line = { role: "tool", content: "ran", command: "echo ran" };
const SCRIPT: Script = {
  prompts: [
    { messageId: "a", text: "first", lines: [...LINES, COMMAND] },
    { messageId: "b", text: "second", lines: LINES.map((line) => ({ ...line, content: `2 ${line.content}` })) },
  ],
};

function message(role: Message["role"], content: string, more: Partial<Message> = {}): Message {
  return {
    seq: 0,
    messageId: "",
    run: 1,
    role,
    content,
    toolMetadata: null,
    flags: null,
    createdAt: "",
    receivedAt: "",
    ...more,
  };
}

function told(line: Line): Message {
  const toolMetadata = { tool: "execute", target: line.command, status: "completed" as const, toolCallId: "" };
  return message(line.role, line.content, line.command === null ? {} : { toolMetadata });
}

const FIRST = [message("user", "first"), ...SCRIPT.prompts[0]!.lines.map(told)];
const SECOND = [message("user", "second", { messageId: "b" }), ...SCRIPT.prompts[1]!.lines.map(told)];
const CUT = { flags: { interrupted: true } };

function faultsOf(stored: Message[], facts: Partial<Facts> = {}): string[] {
  const numbered = stored.map((each, at) => ({ ...each, seq: at + 1, messageId: each.messageId || `m${at}` }));
  const all = {
    mayBeCut: false,
    mayBeStopped: false,
    mayBeShort: false,
    taken: new Set(["b"]),
    reached: new Set<string>(),
    ...facts,
  };
  return judge({ script: SCRIPT, stored: numbered, ...all }).faults;
}

Deno.test("the transcript that the coding agent made is right, with the edge's own notes between", () => {
  assertEquals(faultsOf([...FIRST, ...SECOND]), []);
  assertEquals(faultsOf([...FIRST, message("system", "a note"), ...SECOND]), []);
  assertEquals(faultsOf(FIRST, { taken: new Set() }), []);
});

Deno.test("a lost, a doubled, a swapped, a changed and a foreign message are found", () => {
  const wrong: Message[][] = [
    [...FIRST.toSpliced(2, 1), ...SECOND],
    [...FIRST.toSpliced(2, 0, FIRST[2]!), ...SECOND],
    [...FIRST.with(2, FIRST[3]!).with(3, FIRST[2]!), ...SECOND],
    [...FIRST.with(2, message("assistant", "tw")), ...SECOND],
    [...FIRST.with(2, message("thinking", "two")), ...SECOND],
    [...FIRST, ...SECOND, message("assistant", "nobody said this")],
    [...SECOND, ...FIRST],
    FIRST,
    [...FIRST, ...SECOND.slice(0, -1)],
    [...FIRST.with(2, { ...FIRST[2]!, ...CUT }), ...SECOND],
  ];
  for (const stored of wrong) {
    const faults = faultsOf(stored);
    assertEquals(faults.length > 0, true, stored.map((each) => each.content).join());
  }
  assertMatch(faultsOf([...FIRST, ...FIRST.slice(1)], { taken: new Set() })[0]!, /came twice/);
});

Deno.test("a hole in the numbers and an id that is there twice are found", () => {
  const stored = FIRST.map((each, at) => ({ ...each, seq: at < 3 ? at + 1 : at + 2, messageId: `m${at}` }));
  const facts = {
    script: SCRIPT,
    mayBeCut: false,
    mayBeStopped: false,
    mayBeShort: false,
    taken: new Set<string>(),
    reached: new Set<string>(),
  };
  assertMatch(judge({ ...facts, stored }).faults[0]!, /has the number 5/);
  const twice = FIRST.map((each, at) => ({ ...each, seq: at + 1, messageId: "same" }));
  assertMatch(judge({ ...facts, stored: twice }).faults.join(), /an id is stored twice/);
});

Deno.test("after a kill the beginning may stand alone, marked, but nothing that was surely said may be missing", () => {
  const cut = { mayBeCut: true, taken: new Set<string>() };
  assertEquals(faultsOf(FIRST.slice(0, 3), cut), []);
  assertEquals(faultsOf([...FIRST.slice(0, 3), message("assistant", "thr", CUT)], cut), []);
  assertEquals(faultsOf([...FIRST.slice(0, 3), message("assistant", "thr", CUT), ...SECOND], { mayBeCut: true }), []);
  assertEquals(
    faultsOf([...FIRST.slice(0, 3), message("assistant", "thr")], cut).length,
    1,
    "a cut that is not marked",
  );
  assertEquals(faultsOf([...FIRST.slice(0, 3), message("assistant", "thx", CUT)], cut).length, 1, "words nobody said");
  assertEquals(faultsOf([FIRST[0]!, FIRST[2]!], cut).length, 1, "a hole is no beginning");
  const reached = new Set([COMMAND.command!]);
  assertEquals(faultsOf(FIRST.slice(0, 3), { ...cut, reached }).length, 1);
  const call = { ...told(COMMAND), content: "echo ran", ...CUT };
  assertEquals(faultsOf([...FIRST.slice(0, 5), call], { ...cut, reached }), []);
});

Deno.test("a command that a coding agent left off when it was told to stop is there as failed, and the last", () => {
  const { toolMetadata } = told(COMMAND);
  const call = { ...told(COMMAND), toolMetadata: { ...toolMetadata!, status: "failed" as const } };
  const stopped = { mayBeCut: true, mayBeStopped: true, taken: new Set<string>() };
  assertEquals(faultsOf([...FIRST.slice(0, 5), call], stopped), []);
  assertEquals(faultsOf([...FIRST.slice(0, 5), call], { ...stopped, mayBeStopped: false }).length, 1);
  assertEquals(faultsOf([FIRST[0]!, call], stopped).length, 1, "in another's place");
});

Deno.test("a prompt counts as bounded when it was cut and something had to be there", () => {
  const given = { script: SCRIPT, mayBeCut: true, mayBeStopped: false, mayBeShort: false, taken: new Set<string>() };
  const stored = FIRST.map((each, at) => ({ ...each, seq: at + 1, messageId: `m${at}` }));
  const reached = new Set([COMMAND.command!]);
  assertEquals(judge({ ...given, stored, reached }).bounded, 0, "it is whole");
  assertEquals(judge({ ...given, stored: stored.slice(0, 3), reached: new Set() }).bounded, 0, "nothing had to be");
  assertEquals(judge({ ...given, stored: stored.slice(0, 3), reached }).bounded, 1);
});

Deno.test("where large bodies were refused a message may be short, and says so", () => {
  const short = message("assistant", "th", { flags: { truncatedBytes: 3 } });
  assertEquals(faultsOf([...FIRST.with(3, short), ...SECOND], { mayBeShort: true }), []);
  assertEquals(faultsOf([...FIRST.with(3, short), ...SECOND]).length > 0, true);
  assertEquals(
    faultsOf([...FIRST.with(3, message("assistant", "th")), ...SECOND], { mayBeShort: true }).length > 0,
    true,
  );
});
