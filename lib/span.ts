/** How long something takes, as a person says it. */

/** A duration in words: "45 seconds", "15 minutes", "4 hours". */
export function spanOf(ms: number): string {
  const units: [number, string][] = [[3_600_000, "hour"], [60_000, "minute"], [1_000, "second"]];
  const [size, name] = units.find(([size]) => ms >= size && ms % size === 0) ?? [1_000, "second"];
  const count = Math.max(1, Math.round(ms / size));
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}
