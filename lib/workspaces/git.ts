/**
 * The state of a workspace's git, asked of its agent over a relay. Readers who ask at the same time share one answer,
 * and one that was just given is given again, so that many pages on one workspace cost its machine no more than one.
 */
import type { Edge } from "../edge.ts";
import { AppError } from "../errors.ts";
import { toIso } from "../store/time.ts";
import type { WorkspaceRecord } from "../store/workspaces.ts";
import type { GitAnswer } from "../wire/git_state.ts";
import type { RelayToEdgeFrame } from "../wire/relay.ts";
import { openRelay } from "./relay.ts";

/** How long a page waits for a machine to come, and then for its git. */
const COME_MS = 5_000;
const ANSWER_MS = 20_000;
/** So long an answer counts as of now; a machine that did not answer is left alone for longer. */
const FRESH_MS = 1_000;
const AWAY_MS = 5_000;
const ANSWERS_MAX = 200;

interface Asked {
  answer: Promise<GitAnswer>;
  /** Until when it is given again; null while it is being asked. */
  freshUntil: number | null;
}

const askedOf = new WeakMap<Edge, Map<string, Asked>>();

/** Throws `session_not_live`, `node_busy`, `node_unreachable`, and `conflict` with what git or the agent said. */
export function readGit(edge: Edge, workspace: WorkspaceRecord): Promise<GitAnswer> {
  const all = askedOf.get(edge) ?? new Map<string, Asked>();
  askedOf.set(edge, all);
  const now = edge.clock();
  for (const [id, { freshUntil }] of all) if (freshUntil !== null && freshUntil <= now) all.delete(id);
  const known = all.get(workspace.id);
  if (known) return known.answer;
  if (all.size >= ANSWERS_MAX) throw new AppError("node_busy", "Too many workspaces are being read. Try again.");
  const asked: Asked = { answer: ask(edge, workspace), freshUntil: null };
  all.set(workspace.id, asked);
  const keep = (forMs: number) => void (asked.freshUntil = edge.clock() + forMs);
  asked.answer.then(() => keep(FRESH_MS), (error) => keep(isAway(error) ? AWAY_MS : FRESH_MS));
  return asked.answer;
}

function isAway(error: unknown): boolean {
  return error instanceof AppError && error.code === "node_unreachable";
}

async function ask(edge: Edge, workspace: WorkspaceRecord): Promise<GitAnswer> {
  const said = Promise.withResolvers<RelayToEdgeFrame | null>();
  using agent = await openRelay(edge, workspace, {
    waitMs: COME_MS,
    reader: { onFrame: said.resolve, onBytes: () => {}, onEnd: () => said.resolve(null) },
  });
  const timer = setTimeout(() => said.resolve(null), ANSWER_MS);
  agent.send({ type: "git" });
  const frame = await said.promise.finally(() => clearTimeout(timer));
  if (frame?.type === "git") return { ...frame.state, at: toIso(edge.clock()) };
  if (frame?.type === "refused") throw new AppError("conflict", frame.message);
  throw new AppError("node_unreachable", "The workspace's machine did not tell the state of its git. Try again.");
}
