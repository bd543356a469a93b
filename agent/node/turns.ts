/**
 * One turn of a coding agent from prompt to report: recorded, bounded by the limits of the run, ended when it must be.
 * What it reports is what the edge decides on.
 */
import { messageOf } from "../../lib/errors.ts";
import type { TurnReport } from "../../lib/wire/workspace.ts";
import type { AcpSession } from "../coding/acp.ts";
import type { TurnEnd } from "../coding/turn_answer.ts";
import type { Recorder } from "./recorder.ts";
import { reachedLimit, type RunLimits } from "./run_limits.ts";

const LIMITS_EVERY_MS = 500;
/** A run that costs more is told of so often, that its task shows it. */
const COST_EVERY_MS = 10_000;
/** After this long a coding agent that was told to stop is ended. */
const STOP_GRACE_MS = 1_500;

export interface TurnInput {
  session: AcpSession;
  recorder: Recorder;
  prompt: { messageId: string; text: string };
  limits: RunLimits;
  startedAtMs: number;
  /** What the run had cost in conversations that are over. */
  costBaseUsd: number;
  /** Turns of the run, this one included. */
  turns: number;
  /** What the run has cost so far, now and then. */
  onCost: (costUsd: number) => Promise<void>;
  /** The coding agent has taken the prompt in. */
  onAccepted: () => Promise<void>;
  /** Ends the turn, with the process if need be. */
  signal: AbortSignal;
}

/** Runs the turn. Resolves when all of it is durable. */
export async function runTurn(input: TurnInput): Promise<TurnReport> {
  const { session, recorder, prompt, signal } = input;
  let accepted: Promise<unknown> = Promise.resolve();
  let limit: string | null = null;
  const costOf = () => session.costUsd === null ? null : input.costBaseUsd + session.costUsd;
  const tellCost = costTeller(input);
  const look = () => {
    const { startedAtMs, turns } = input;
    limit ??= reachedLimit(input.limits, { costUsd: costOf(), startedAtMs, turns, now: Date.now() }) ?? recorder.stuck;
    return limit;
  };
  const watch = setInterval(() => {
    if (look() !== null) session.cancel();
    tellCost(costOf());
  }, LIMITS_EVERY_MS);
  const stop = endOnAbort(session, signal);
  try {
    recorder.startTurn(prompt.text);
    const spent = look();
    if (spent !== null) return { promptId: prompt.messageId, event: "ended", error: spent };
    const end = await session.prompt(prompt.text, { onAccepted: () => accepted = settle(input.onAccepted()) });
    const interrupted = "error" in end || end.stopReason === "cancelled";
    await recorder.endTurn({ interrupted });
    const failed = await accepted;
    if (failed instanceof Error) throw failed;
    return toReport(prompt.messageId, { ...end, costUsd: costOf() }, limit);
  } finally {
    clearInterval(watch);
    stop();
  }
}

/** Tells what a run has cost when it has grown, but not all the time; the end of the turn tells it in any case. */
function costTeller({ onCost }: TurnInput): (costUsd: number | null) => void {
  let told = { costUsd: 0, at: -Infinity };
  return (costUsd) => {
    const now = performance.now();
    if (costUsd === null || costUsd <= told.costUsd || now - told.at < COST_EVERY_MS) return;
    told = { costUsd, at: now };
    // What the disk refuses now comes with the end of the turn.
    onCost(costUsd).catch(() => {});
  };
}

/** Keeps a rejection as a value until it is looked at. */
async function settle(work: Promise<void>): Promise<Error | null> {
  try {
    await work;
    return null;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

function endOnAbort(session: AcpSession, signal: AbortSignal): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const end = () => {
    session.cancel();
    timer = setTimeout(() => void session[Symbol.asyncDispose](), STOP_GRACE_MS);
  };
  if (signal.aborted) end();
  signal.addEventListener("abort", end);
  return () => {
    if (timer !== null) clearTimeout(timer);
    signal.removeEventListener("abort", end);
  };
}

function toReport(promptId: string, end: TurnEnd, limit: string | null): TurnReport {
  const report: TurnReport = { promptId, event: "ended" };
  if (end.costUsd !== null) report.costUsd = end.costUsd;
  if (limit !== null) return { ...report, error: limit };
  if ("error" in end) return { ...report, error: end.error };
  return { ...report, stopReason: end.stopReason, ...(end.tokens && { tokens: end.tokens }) };
}
