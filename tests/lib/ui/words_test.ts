import { assertEquals } from "@std/assert";
import { findCommands } from "../../../lib/ui/commands.ts";
import { phasesOf, totalMs } from "../../../lib/ui/phases.ts";
import { readPlan } from "../../../lib/ui/plan.ts";
import { readRoute, routePath } from "../../../lib/ui/route.ts";
import { bodyOf, checkDraft, NEW_DRAFT, readDraft } from "../../../lib/ui/task_draft.ts";
import { duration, exactTime, relativeTime, remaining } from "../../../lib/ui/time.ts";
import { ago, id, makeTask, NOW } from "../../islands/fixture_data.ts";

Deno.test("T055-9 times are told relative to now", () => {
  const told = [0.2, 5, 59, 61, 60 * 30, 60 * 24 * 3, 60 * 24 * 30].map((minutes) => relativeTime(ago(minutes), NOW));
  assertEquals(told, ["now", "5 min ago", "59 min ago", "1 h ago", "1 d ago", "3 d ago", "2029-12-03"]);
  assertEquals(relativeTime(ago(-3), NOW), "now", "a clock that is ahead is not the future");
  assertEquals(exactTime(ago(5), false), "2030-01-02 11:55:00 UTC");
});

Deno.test("a run's phases end with the next one, the last with the run", () => {
  const timings = { starting_agent: ago(9), selecting_node: ago(10), running: ago(8) };
  const over = phasesOf(makeTask(1, { status: "completed", timings, completedAt: ago(3) }), NOW);
  assertEquals(over.map(({ step, ms, current }) => [step, ms / 60_000, current]), [
    ["selecting_node", 1, false],
    ["starting_agent", 1, false],
    ["running", 5, false],
  ]);
  assertEquals(totalMs(over) / 60_000, 7);
  assertEquals(phasesOf(makeTask(1, { status: "in_progress", timings }), NOW).at(-1), {
    step: "running",
    ms: 8 * 60_000,
    current: true,
  });
});

Deno.test("commands are found by all their words, those that begin with the text first", () => {
  const make = (label: string, hint = "") => ({ id: label, label, hint, icon: "chat" as const, run: () => {} });
  const commands = [make("Show the chat"), make("Chat about lamps"), make("Board", "chat")];
  const find = (text: string) => findCommands(commands, text).map((command) => command.label);
  assertEquals(find("chat"), ["Chat about lamps", "Show the chat", "Board"]);
  assertEquals(find("the CHAT"), ["Show the chat"]);
  assertEquals(find("  "), ["Show the chat", "Chat about lamps", "Board"]);
  assertEquals(find("ship"), []);
});

Deno.test("durations and what is left", () => {
  assertEquals([41, 1200, 12_000, 200_000, 3_900_000].map(duration), [
    "<0.1 s",
    "1.2 s",
    "12 s",
    "3 min 20 s",
    "1 h 5 min",
  ]);
  assertEquals([ago(-29), ago(-0.5), ago(1)].map((at) => remaining(at, NOW)), ["29 min", "30 s", ""]);
});

Deno.test("T058 addresses of a project's page, in both directions", () => {
  const project = id(2);
  const session = id(3);
  assertEquals(readRoute(`/projects/${project}`, project), { view: "chat", sessionId: null });
  assertEquals(readRoute(`/projects/${project}/chat/${session}`, project), { view: "chat", sessionId: session });
  assertEquals(readRoute(`/projects/${project}/board`, project), { view: "board", sessionId: null });
  assertEquals(readRoute(`/projects/${project}/chat/x`, project), null);
  assertEquals(readRoute(`/projects/${project}/settings`, project), null);
  assertEquals(readRoute(`/projects/${session}`, project), null);
  for (const route of [{ view: "chat", sessionId: session }, { view: "board", sessionId: null }] as const) {
    assertEquals(readRoute(routePath(project, route), project), route);
  }
});

Deno.test("a plan's lines become a checklist", () => {
  assertEquals(readPlan("- [x] Read\n- [~] Write\n\n- [ ] Test\n1. [X] Ship\nRest"), [
    { text: "Read", state: "done" },
    { text: "Write", state: "doing" },
    { text: "Test", state: "open" },
    { text: "Ship", state: "done" },
    { text: "Rest", state: "open" },
  ]);
});

Deno.test("a draft is checked at its fields and becomes the body of the call", () => {
  assertEquals(checkDraft(NEW_DRAFT)?.field, "description");
  assertEquals(checkDraft({ ...NEW_DRAFT, description: "x".repeat(32_001) })?.field, "description");
  assertEquals(checkDraft({ ...NEW_DRAFT, description: "go", priority: "soon" })?.field, "priority");
  assertEquals(checkDraft({ ...NEW_DRAFT, description: "go", title: " " })?.field, "title");
  assertEquals(checkDraft({ ...NEW_DRAFT, description: "go", title: "x".repeat(201) })?.field, "title");
  const draft = { ...NEW_DRAFT, description: " go ", priority: "5", vmSize: "large" } as const;
  assertEquals(checkDraft(draft), null);
  const body = { description: "go", priority: 5, agentHint: null, vmSize: "large" as const, dependsOn: [] };
  assertEquals(bodyOf(draft), body);
  assertEquals(bodyOf({ ...draft, title: " Go " }), { ...body, title: "Go" });
});

Deno.test("a kept draft is read back, and anything else is a new one", () => {
  const kept = { description: "go", priority: "1", agentHint: "demo", vmSize: "small", dependsOn: [id(9)] } as const;
  const draft = { ...NEW_DRAFT, ...kept };
  assertEquals(readDraft(JSON.stringify(draft)), draft);
  for (const broken of [null, "", "{", "[]", "3", '{"vmSize":"huge"}']) assertEquals(readDraft(broken), NEW_DRAFT);
});
