/**
 * The turns of a workspace: a prompt that was handed over is marked as running on the disk before the coding agent is
 * asked, and what came of it is durable before the row says that the turn ended.
 */
import { cutText } from "../../lib/bytes.ts";
import { messageOf } from "../../lib/errors.ts";
import { type Tokens, tokens } from "../../lib/wire/common.ts";
import { SUMMARY_MAX } from "../../lib/wire/limits.ts";
import type { Runtime, TurnReport } from "../../lib/wire/workspace.ts";
import { withRecap } from "../coding/recap.ts";
import { runTurn } from "./turns.ts";
import { settleSteering } from "./workspace_steering.ts";
import type { Look, WorkspaceState } from "./workspace_state.ts";

/** Runs the prompt that the row holds. */
export async function runPrompt(state: WorkspaceState, { row, signal }: Look): Promise<void> {
  const needed = await state.need(signal);
  if (!needed || row.promptId === null || row.promptText === null) return;
  const { runtime, recorder } = needed;
  const prompt = { messageId: row.promptId, text: row.promptText };
  const { session, resumed } = await state.agent.open(runtime, { resume: row.acpSessionId, recorder });
  // The first prompt of a run is in the store already, the edge's own ones are not shown as the person's.
  const isTheirs = prompt.messageId !== runtime.prompt?.messageId && prompt.messageId !== row.facts?.ownPromptId;
  if (isTheirs) await recorder.addPrompt(prompt);
  const startedAtMs = typeof row.facts?.startedAtMs === "number" ? row.facts.startedAtMs : Date.now();
  const isNew = row.acpSessionId !== null && !resumed;
  // A conversation that begins anew counts its cost from nothing.
  const costBaseUsd = isNew ? numberOf(row.facts?.costUsd) : numberOf(row.facts?.costBaseUsd);
  const turns = numberOf(row.facts?.turns) + 1;
  await state.change((now) => {
    if (now.phase !== "ready" || signal.aborted) return null;
    const facts = now.facts && { ...now.facts, startedAtMs, costBaseUsd, turns, steers: [] };
    return { promptState: "running", acpSessionId: session.sessionId, facts };
  });
  if (signal.aborted) return;
  if (state.cancelled === prompt.messageId) {
    return await endTurn(state, { promptId: prompt.messageId, event: "ended", stopReason: "cancelled" });
  }
  const accepted = { promptId: prompt.messageId, event: "accepted" as const };
  state.turn = { promptId: prompt.messageId, session, recorder };
  const report = await state.agent.during(() =>
    runTurn({
      session,
      recorder,
      prompt: row.acpSessionId === null || resumed ? asFirst(prompt, runtime) : withRecap(prompt, row.facts),
      limits: runtime.limits,
      startedAtMs,
      costBaseUsd,
      turns,
      onCost: (costUsd) => state.tell.status({ costUsd }),
      onAccepted: () => state.tell.turn(session.canSteer ? { ...accepted, steering: true } : accepted),
      signal,
    })
  ).finally(() => state.turn = null);
  const { endedFor } = state.agent;
  if (!session.isAlive) await state.agent.end();
  if (signal.aborted) return;
  await settleSteering(state, { promptId: prompt.messageId, recorder });
  const { stopReason: _, ...told } = report;
  await endTurn(state, endedFor === null ? report : { ...told, error: endedFor });
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}

/** A run that goes on from another task's work begins with what was said there. */
function asFirst(prompt: { messageId: string; text: string }, { prompt: first, recap }: Runtime) {
  if (recap === null || prompt.messageId !== first?.messageId) return prompt;
  return { ...prompt, text: `${recap}\n\n${prompt.text}` };
}

/** A prompt that a crash cut is never sent again; the edge decides whether the conversation goes on. */
export async function tellInterrupted(state: WorkspaceState, { row, signal }: Look): Promise<void> {
  const needed = await state.need(signal);
  if (!needed || row.promptId === null) return;
  const { runtime, recorder } = needed;
  let resumable = false;
  try {
    const opened = await state.agent.open(runtime, { resume: row.acpSessionId, recorder });
    resumable = row.acpSessionId !== null && opened.resumed;
  } catch (error) {
    state.log.warn("workspace.not_resumable", { reason: messageOf(error) });
  }
  await state.change((now) => ({ resumes: now.resumes + 1 }));
  await settleSteering(state, { promptId: row.promptId, recorder });
  await endTurn(state, { promptId: row.promptId, event: "ended", interrupted: true, resumable });
}

function addTokens(known: Tokens | undefined, turn: Tokens | undefined): Tokens | undefined {
  if (!known || !turn) return turn ?? known;
  const sum: Tokens = {};
  for (const name of ["input", "output", "total"] as const) {
    if (known[name] !== undefined || turn[name] !== undefined) sum[name] = (known[name] ?? 0) + (turn[name] ?? 0);
  }
  return sum;
}

/** The report is durable before the row says that the turn ended: a crash between repeats it, under the same id. */
async function endTurn(state: WorkspaceState, report: TurnReport): Promise<void> {
  const summary = state.recorder?.lastAnswer;
  let told = report;
  await state.change((now) => {
    if (!now.facts) return null;
    // A coding agent tells what a turn has used; what a run has used is told to the edge.
    const sum = addTokens(tokens.safeParse(now.facts.tokens).data, report.tokens);
    told = sum ? { ...report, tokens: sum } : report;
    const used = { costUsd: report.costUsd ?? now.facts.costUsd, tokens: sum };
    const said = summary ? cutText(summary.trim(), SUMMARY_MAX) : now.facts.summary;
    return { facts: { ...now.facts, ...used, summary: said } };
  });
  await state.tell.turn(told);
  await state.change((now) =>
    now.promptId === report.promptId && now.promptState === "running" ? { promptState: "ended" } : null
  );
}
