/**
 * Prompts that are sent into the turn that runs. Each is marked on the disk before the coding agent is asked, and what
 * became of it is told before the end of that turn is: one that the coding agent may have is never sent again, one that
 * it has not taken waits at the edge as before.
 */
import { z } from "zod";
import { messageOf } from "../../lib/errors.ts";
import type { WorkspaceRow } from "../store/workspaces.ts";
import type { Recorder } from "./recorder.ts";
import type { WorkspaceState } from "./workspace_state.ts";

/** So many prompts are taken into one turn. */
const STEERS_MAX = 100;

export interface SteeredPrompt {
  messageId: string;
  /** The prompt whose turn is meant. */
  into: string;
  text: string;
}

/** `text`: null when it was told what became of it. */
const marks = z.array(z.object({ messageId: z.string(), text: z.string().nullable() })).catch([]);

/** Takes up the command; the coding agent is asked in the background, so that nothing waits for it. Repeated: no effect. */
export async function steerPrompt(state: WorkspaceState, prompt: SteeredPrompt): Promise<void> {
  const marking = mark(state, prompt);
  // In line before anything is waited for: the end of the turn waits for all that was marked in it.
  const before = state.steering;
  state.steering = marking.then(async (found) => {
    await before;
    if (found === "new") await carryOut(state, prompt);
  }).catch((error: unknown) => state.log.error("workspace.steering_failed", { reason: messageOf(error) }));
  if (await marking === "late") await tellReturned(state, prompt);
}

/** `late`: the turn that was meant does not run, or takes no more. */
async function mark(
  state: WorkspaceState,
  { messageId, into, text }: SteeredPrompt,
): Promise<"new" | "known" | "late"> {
  let found: "new" | "known" | "late" = "late";
  await state.change((row) => {
    const marked = marksOf(row);
    const isKnown = marked.some((each) => each.messageId === messageId);
    const isOpen = state.turn?.promptId === into && marked.length < STEERS_MAX;
    found = isKnown ? "known" : isOpen && row.facts ? "new" : "late";
    return found === "new" ? { facts: { ...row.facts!, steers: [...marked, { messageId, text }] } } : null;
  });
  return found;
}

/** The turn is over, or was cut by a crash: what is still untold may have come in, so it is never sent again. */
export async function settleSteering(state: WorkspaceState, turn: { promptId: string; recorder: Recorder }) {
  await state.steering;
  for (const { messageId, text } of marksOf(await state.read())) {
    if (text === null) continue;
    await turn.recorder.addPrompt({ messageId, text });
    await tellInjected(state, { messageId, into: turn.promptId, text }, { interrupted: true });
  }
}

async function carryOut(state: WorkspaceState, prompt: SteeredPrompt): Promise<void> {
  const { messageId, into, text } = prompt;
  const turn = state.turn?.promptId === into ? state.turn : null;
  const outcome = turn ? await turn.session.steer(text) : "returned";
  if (!turn || outcome === "returned") {
    await tellReturned(state, prompt);
    return await markTold(state, messageId);
  }
  await turn.recorder.addSteered({ messageId, text });
  await tellInjected(state, prompt, { interrupted: outcome === "unknown" });
}

async function tellReturned(state: WorkspaceState, { messageId: promptId, into }: SteeredPrompt): Promise<void> {
  await state.tell.turn({ promptId, event: "steered", into, outcome: "returned" });
}

async function tellInjected(state: WorkspaceState, prompt: SteeredPrompt, { interrupted }: { interrupted: boolean }) {
  const { messageId: promptId, into } = prompt;
  const told = { promptId, event: "steered" as const, into, outcome: "injected" as const };
  await state.tell.turn(interrupted ? { ...told, interrupted } : told);
  await markTold(state, promptId);
}

async function markTold(state: WorkspaceState, messageId: string): Promise<void> {
  await state.change((row) => {
    if (!row.facts) return null;
    const steers = marksOf(row).map((each) => each.messageId === messageId ? { messageId, text: null } : each);
    return { facts: { ...row.facts, steers } };
  });
}

function marksOf(row: WorkspaceRow | null) {
  return marks.parse(row?.facts?.steers ?? []);
}
