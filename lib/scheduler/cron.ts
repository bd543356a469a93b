/**
 * The crons, registered at the top level before anything is served, because the hosted platform finds them there. Each
 * calls what main has set up by then; this file imports nothing heavy.
 */

/** What the crons call; main fills it in once the edge is composed. */
export interface CronTargets {
  minute: () => Promise<void>;
}

const RETRIES_MS = [1_000, 5_000, 10_000];

/** Registers the minute cron. `targets` is read at each tick, so that registration needs no edge. */
export function registerCrons(targets: () => CronTargets | null): void {
  Deno.cron("hearth-minute", "* * * * *", { backoffSchedule: RETRIES_MS }, async () => {
    await targets()?.minute();
  });
}
