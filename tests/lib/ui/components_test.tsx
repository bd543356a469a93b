import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { signal } from "@preact/signals";
import type { ComponentChild } from "preact";
import { renderToString } from "preact-render-to-string";
import { StatusBadge } from "../../../lib/ui/Badge.tsx";
import { Board } from "../../../lib/ui/Board.tsx";
import { ClockContext } from "../../../lib/ui/clock.ts";
import { Diff } from "../../../lib/ui/Diff.tsx";
import { History } from "../../../lib/ui/History.tsx";
import { MessageItem, OpenItem } from "../../../lib/ui/MessageView.tsx";
import { SessionHeader } from "../../../lib/ui/SessionHeader.tsx";
import { SessionList } from "../../../lib/ui/SessionList.tsx";
import { ToolCard } from "../../../lib/ui/ToolCard.tsx";
import { EMPTY } from "../../../lib/ui/transcript.ts";
import { Transcript } from "../../../lib/ui/Transcript.tsx";
import { boardColumns } from "../../../lib/ui/views.ts";
import type { Message } from "../../../lib/wire/message.ts";
import type { Session } from "../../../lib/wire/session.ts";
import type { Node } from "../../../lib/wire/node.ts";
import type { Task } from "../../../lib/wire/task.ts";
import { ago, id, makeMessage, makeNode, makeSession, makeTask, ME, NOW } from "../../islands/fixture_data.ts";

const nothing = () => {};
const later = () => Promise.resolve();

function html(node: ComponentChild): string {
  const clock = signal({ now: NOW, local: false });
  return renderToString(<ClockContext.Provider value={clock}>{node}</ClockContext.Provider>);
}

function list(sessions: Session[], selectedId: string | null = null): string {
  return html(
    <SessionList sessions={sessions} selectedId={selectedId} hrefOf={(each) => `/s/${each}`} onSelect={nothing} />,
  );
}

function message(part: Partial<Message>): string {
  return html(<MessageItem message={makeMessage(2, part)} onWhole={later} />);
}

const TASK = makeTask(10, { status: "in_progress", title: "Fix the lamp" });

Deno.test("T053-2 a live session pulses, an ended one does not", () => {
  assertStringIncludes(list([makeSession(TASK, { status: "active" })]), "dot-active pulse");
  assert(!list([makeSession(TASK, { status: "stopped" })]).includes("pulse"));
});

Deno.test("T053-3 a session shows its task's title and status", () => {
  const shown = list([makeSession(TASK, { topic: "Lamps" })]);
  assertStringIncludes(shown, "Lamps");
  assertMatch(shown, /session-task-title">Fix the lamp</);
  assertStringIncludes(shown, "In progress");
});

Deno.test("T053-4 the selected session is marked, alone", () => {
  const [one, two] = [makeSession(TASK), makeSession(makeTask(11))];
  const shown = list([one, two], two.id);
  assertEquals([...shown.matchAll(/aria-current="page"/g)].length, 1);
  assertMatch(shown, new RegExp(`class="session-link selected" href="/s/${two.id}"`));
});

Deno.test("T053-6 no sessions: it says so, and what to do", () => {
  assertStringIncludes(list([]), "No sessions yet");
  assertStringIncludes(list([]), "Run Now");
});

Deno.test("T053-7 sessions that are being read are a skeleton", () => {
  const more = (busy: boolean) => {
    const props = { sessions: [makeSession(TASK)], selectedId: null, hrefOf: String, onSelect: nothing };
    return html(<SessionList {...props} more={{ busy, onMore: nothing }} />);
  };
  assertStringIncludes(more(true), "skeleton");
  assert(!more(false).includes("skeleton"));
  assertStringIncludes(more(false), "Show older sessions");
});

Deno.test("T053-8 a session whose workspace is gone has the archive mark", () => {
  const ended = { status: "stopped", workspace: { id: id(70), status: "stopped", keptUntil: null } } as const;
  assertStringIncludes(list([makeSession(TASK, ended)]), "Archived");
  const kept = { ...ended, workspace: { ...ended.workspace, keptUntil: ago(-60) } };
  assert(!list([makeSession(TASK, kept)]).includes("Archived"));
});

Deno.test("T055-1 each role has its own look and name", () => {
  const roles = { user: "You", assistant: "Agent", plan: "Plan", thinking: "Thinking", tool: "Tool" } as const;
  for (const role of ["user", "assistant", "plan", "thinking", "tool"] as const) {
    assertMatch(message({ role }), new RegExp(`message-${role}" aria-label="${roles[role]}"`));
  }
  assertStringIncludes(message({ role: "system" }), "system-line");
});

Deno.test("T055-2 a tool message shows name, target and status", () => {
  const toolMetadata = {
    tool: "Edit",
    target: "a.ts",
    status: "completed",
    toolCallId: "x",
    durationMs: 1200,
  } as const;
  const shown = message({ role: "tool", toolMetadata });
  for (const part of ["Edit", "a.ts", "Complete (1.2 s)"]) assertStringIncludes(shown, part);
  const failed = message({ role: "tool", content: "exit 1", toolMetadata: { ...toolMetadata, status: "failed" } });
  assertMatch(failed, /tool-status failed">Error/);
  assertStringIncludes(failed, "exit 1");
  const open = {
    messageId: id(1),
    role: "tool",
    rev: 1,
    text: "",
    toolMetadata: { ...toolMetadata, status: "executing" },
  } as const;
  assertStringIncludes(html(<OpenItem message={open} />), "Executing…");
});

Deno.test("a tool's output is a preview of 500 characters with the whole on demand", () => {
  const output = "x".repeat(700);
  const shown = html(<ToolCard tool={null} output={output} truncated={false} />);
  assertMatch(shown, /[^x]x{500}…/);
  assertStringIncludes(shown, "Show all (700 characters)");
  assert(!html(<ToolCard tool={null} output="short" truncated={false} />).includes("Show all"));
});

Deno.test("a tool is named in words, and a title that repeats them is left out", () => {
  const tool = { tool: "edit", target: "a.ts", status: "completed", toolCallId: "x", diff: "+new" } as const;
  const shown = html(<ToolCard tool={tool} output="Write a.ts" truncated={false} />);
  assertStringIncludes(shown, ">Edit<");
  assert(!shown.includes("tool-output"));
  assertStringIncludes(html(<ToolCard tool={tool} output="Wrote 3 lines" truncated={false} />), "Wrote 3 lines");
  assertStringIncludes(html(<ToolCard tool={{ ...tool, tool: "mcp__x" }} output="y" truncated={false} />), ">mcp__x<");
});

Deno.test("a diff is coloured by what each line is", () => {
  const text = "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same\n";
  const shown = html(<Diff text={text} />);
  const kinds = [...shown.matchAll(/diff-line (diff-\w+)/g)].map((match) => match[1]);
  assertEquals([...shown.matchAll(/data-number="(\d*)"/g)].map((match) => match[1]), ["", "", "", "1", "1", "2"]);
  assert(!html(<Diff text={text} named />).includes("diff-file"));
  assertEquals(kinds, ["diff-file", "diff-file", "diff-hunk", "diff-del", "diff-add", "diff-same"]);
});

Deno.test("text from a node is text, whatever it holds", () => {
  const bad = `<img src=x onerror=alert(1)>"'&`;
  const shown = message({ content: bad }) + message({ role: "tool", content: bad }) +
    message({ role: "plan", content: bad }) + message({ role: "system", content: bad });
  assert(!shown.includes("<img"));
});

Deno.test("the open message has a caret, thinking is closed", () => {
  const open = { messageId: id(1), role: "assistant", rev: 1, text: "Hel", toolMetadata: null } as const;
  assertStringIncludes(html(<OpenItem message={open} />), 'class="caret"');
  assert(!/<details[^>]* open/.test(message({ role: "thinking" })));
});

Deno.test("marks of a message are told", () => {
  assertStringIncludes(message({ flags: { interrupted: true } }), "[Response interrupted]");
  assertStringIncludes(message({ flags: { truncatedBytes: 2048 } }), "2,048 bytes were cut off");
});

Deno.test("T055-4 T055-5 an empty session says so, one that loads shows a skeleton", () => {
  const props = {
    sessionId: id(1),
    running: false,
    loadError: null,
    loadingOlder: false,
    emptyHint: "hint",
    onReload: nothing,
    onOlder: nothing,
    onWhole: later,
  };
  const empty = html(<Transcript {...props} transcript={{ ...EMPTY, loaded: true }} />);
  assertStringIncludes(empty, "No messages yet");
  assert(!empty.includes("skeleton"));
  const loading = html(<Transcript {...props} transcript={EMPTY} />);
  assertStringIncludes(loading, "skeleton");
  assert(!loading.includes("No messages yet"));
  const failed = html(<Transcript {...props} transcript={EMPTY} loadError="The server could not be reached." />);
  assertStringIncludes(failed, "The server could not be reached.");
  assertStringIncludes(failed, "Retry");
});

function head(
  task: Task,
  { session = makeSession(task), node = null }: { session?: Session; node?: Node | null } = {},
) {
  const acts = { onRun: nothing, onCancel: nothing, onKeep: nothing, onDiscard: nothing, onHistory: nothing };
  const fixed = { userId: ME.id, settings: {}, busy: false, ...acts };
  return html(<SessionHeader session={session} task={task} node={node} {...fixed} />);
}

Deno.test("a run that has ended can be kept or discarded while its workspace is there", () => {
  const task = makeTask(1, { status: "cancelled" });
  const workspace = { id: id(70), status: "ready", keptUntil: ago(-90) } as const;
  const kept = head(task, { session: makeSession(task, { status: "stopped", workspace }) });
  for (const part of ["kept for 1 h 30 min", "Keep 2 h longer", "Discard workspace", "Retry"]) {
    assertStringIncludes(kept, part);
  }
  assert(!kept.includes("Workspace is gone"));
  const gone = { ...workspace, status: "stopped", keptUntil: null } as const;
  const ended = head(task, { session: makeSession(task, { status: "stopped", workspace: gone }) });
  assert(!ended.includes("Discard workspace"));
  assertStringIncludes(ended, "Workspace is gone");
});

Deno.test("the header names the machine and says when it is not heard of", () => {
  const task = makeTask(1, { status: "in_progress", nodeId: id(7), timings: { running: ago(4) } });
  const shown = head(task, { node: makeNode(7) });
  for (const part of ["00000007", "for 4 min"]) assertStringIncludes(shown, part);
  assert(!head(task, { node: makeNode(7) }).includes("Unreachable"));
  assertStringIncludes(head(task, { node: makeNode(7, { health: "unreachable" }) }), "Unreachable");
});

Deno.test("the history tells each change with who made it and why", () => {
  const event = { n: 1, from: "draft", to: "cancelled", actor: "user", reason: "Not needed", at: ago(5) } as const;
  const shown = html(<History events={[event]} error={null} onRetry={nothing} />);
  for (const part of ["Cancelled", "A person · Not needed", "5 min ago"]) assertStringIncludes(shown, part);
  assertStringIncludes(html(<History events={null} error={null} onRetry={nothing} />), "skeleton");
  assertStringIncludes(html(<History events={null} error="No answer." onRetry={nothing} />), "Retry");
});

Deno.test("a failed task says why and offers Retry, a warning is shown, a live one can be cancelled", () => {
  const failed = head(makeTask(1, { status: "failed", errorMessage: "The disk is full." }));
  assertStringIncludes(failed, "The disk is full.");
  assertEquals([...failed.matchAll(/Retry/g)].length, 1);
  assertStringIncludes(head(makeTask(1, { status: "completed", warning: "Not pushed." })), "Not pushed.");
  const running = head(makeTask(1, { status: "in_progress", executionStep: "starting_agent", outputBranch: "task/1" }));
  for (const part of ["Cancel", "Starting the coding agent", "task/1", "Copy the branch name"]) {
    assertStringIncludes(running, part);
  }
  assert(!running.includes("Retry"));
});

Deno.test("T063-1 T063-7 the board has six columns, and empty ones say what belongs there", () => {
  const shown = html(<Board columns={boardColumns({})} renderCard={() => null} />);
  const names = [...shown.matchAll(/<section[^>]*aria-label="([^"]+)"/g)].map((match) => match[1]);
  assertEquals(names, ["Draft", "Ready", "In progress", "Completed", "Failed", "Cancelled"]);
  assertEquals([...shown.matchAll(/class="board-empty">[^<]+</g)].length, 6);
});

Deno.test("T063-3 a passing state is a badge with a spinner", () => {
  assertMatch(html(<StatusBadge status="queued" />), /spinner.*Queued/);
  assertMatch(html(<StatusBadge status="delegated" />), /spinner.*Starting/);
  assert(!html(<StatusBadge status="completed" />).includes("spinner"));
});
