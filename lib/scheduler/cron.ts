/**
 * The crons, registered at the top level before anything is served, because the hosted platform finds them there. Each
 * calls what main has set up by then; this file imports nothing heavy.
 */

/** What the crons call; main fills it in once the edge is composed. */
export interface CronTargets {
  minute: () => Promise<void>;
  cleanup: () => Promise<void>;
}

const RETRIES_MS = [1_000, 5_000, 10_000];

const CLEANUP_DEFAULT = "*/15 * * * *";

/**
 * Registers the crons. `targets` is read at each tick, so that registration needs no edge. What cannot be an expression is
 * told by the configuration, which is read later.
 */
export function registerCrons(targets: () => CronTargets | null, cleanup = CLEANUP_DEFAULT): void {
  const cleanUp = async () => await targets()?.cleanup();
  try {
    Deno.cron("hearth-cleanup", cleanup, { backoffSchedule: RETRIES_MS }, cleanUp);
  } catch {
    Deno.cron("hearth-cleanup", CLEANUP_DEFAULT, { backoffSchedule: RETRIES_MS }, cleanUp);
  }
  Deno.cron("hearth-minute", "* * * * *", { backoffSchedule: RETRIES_MS }, async () => {
    await targets()?.minute();
  });
}
