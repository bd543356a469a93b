/** What a run has used. Both only grow: a report that comes late or twice never lowers them. Pure. */
import type { Tokens } from "../wire/common.ts";

export function growCost(known: number | null, reported: number | null | undefined): number | null {
  return reported === null || reported === undefined ? known : Math.max(known ?? 0, reported);
}

export function growTokens(known: Tokens | null, reported: Tokens | null | undefined): Tokens | null {
  if (!reported) return known;
  const grown: Tokens = { ...known };
  for (const name of ["input", "output", "total"] as const) {
    if (reported[name] !== undefined) grown[name] = Math.max(known?.[name] ?? 0, reported[name]);
  }
  return grown;
}
