/**
 * Decides what is to be done with sessions that live too long, take too much memory or do nothing, and with processes
 * that belong to none. Pure: `check(sessions, …)` answers actions; somebody else carries them out.
 */
export interface SessionFacts {
  sessionId: string;
  /** When the process that works for it was asked for, by a clock that nobody sets. */
  startedAtMs: number;
  lastActiveAtMs: number;
  /** Of all its processes; null when it could not be read. */
  rssBytes: number | null;
  isTurnRunning: boolean;
  isIdle: boolean;
  wasWarned: boolean;
}

export interface Limits {
  maxDurationMs: number;
  warningPercent: number;
  maxRssBytes: number;
  idleTimeoutMs: number;
  idleGraceMs: number;
}

export interface OrphanProcess {
  pid: number;
  startTicks: number;
}

export type MonitorAction =
  | { type: "warn_duration"; sessionId: string; remainingSeconds: number }
  | { type: "terminate_duration"; sessionId: string }
  | { type: "restart_memory"; sessionId: string; rssBytes: number }
  | { type: "force_kill_memory"; sessionId: string; rssBytes: number }
  | { type: "mark_idle"; sessionId: string }
  | { type: "end_idle"; sessionId: string }
  | { type: "cleanup_zombie"; process: OrphanProcess };

export interface CheckOptions {
  /** By the same clock as the sessions' times. */
  now: number;
  limits: Limits;
  /** Processes that carry this program's mark and belong to no session. */
  orphans?: OrphanProcess[];
}

/** What is to be done now: at most one action a session, the most urgent. */
export function check(sessions: SessionFacts[], options: CheckOptions): MonitorAction[] {
  const actions = sessions.flatMap((session) => checkSession(session, options) ?? []);
  const zombies = (options.orphans ?? []).map((process) => ({ type: "cleanup_zombie" as const, process }));
  return [...actions, ...zombies];
}

function checkSession(session: SessionFacts, { now, limits }: CheckOptions): MonitorAction | null {
  return checkMemory(session, limits) ?? checkDuration(session, { now, limits }) ?? checkIdle(session, { now, limits });
}

function checkMemory({ sessionId, rssBytes }: SessionFacts, { maxRssBytes }: Limits): MonitorAction | null {
  if (rssBytes === null || rssBytes <= maxRssBytes) return null;
  return { type: rssBytes > 2 * maxRssBytes ? "force_kill_memory" : "restart_memory", sessionId, rssBytes };
}

function checkDuration(session: SessionFacts, { now, limits }: CheckOptions): MonitorAction | null {
  const { sessionId, startedAtMs, wasWarned } = session;
  const left = startedAtMs + limits.maxDurationMs - now;
  if (left <= 0) return { type: "terminate_duration", sessionId };
  const warnAtMs = startedAtMs + limits.maxDurationMs * limits.warningPercent / 100;
  if (wasWarned || now < warnAtMs) return null;
  return { type: "warn_duration", sessionId, remainingSeconds: Math.ceil(left / 1_000) };
}

/** A turn that runs is activity, however long it is silent. */
function checkIdle(session: SessionFacts, { now, limits }: CheckOptions): MonitorAction | null {
  const { sessionId, lastActiveAtMs, isTurnRunning, isIdle } = session;
  const quietMs = now - lastActiveAtMs;
  if (isTurnRunning || quietMs < limits.idleTimeoutMs) return null;
  if (quietMs >= limits.idleTimeoutMs + limits.idleGraceMs) return { type: "end_idle", sessionId };
  return isIdle ? null : { type: "mark_idle", sessionId };
}
