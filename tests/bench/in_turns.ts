/**
 * Rates that are measured in short turns, each side once a round and every other round the other way about: what else
 * the machine does hurts all of them alike, and a ratio is the median of those of the rounds.
 */
import { median } from "./figure.ts";

export class Rates<Side extends string> {
  readonly #rounds: Record<Side, number>[];

  constructor(rounds: Record<Side, number>[]) {
    this.#rounds = rounds;
  }

  of(side: Side): number {
    return median(this.#rounds.map((round) => round[side]));
  }

  ratio(side: Side, base: Side): number {
    return median(this.#rounds.map((round) => round[side] / round[base]));
  }
}

/** Each side answers its rate, in whatever unit they share. */
export async function inTurns<Side extends string>(
  rounds: number,
  sides: Record<Side, () => Promise<number>>,
): Promise<Rates<Side>> {
  const names = Object.keys(sides) as Side[];
  const measured: Record<Side, number>[] = [];
  for (let round = 0; round < rounds; round++) {
    const rates = {} as Record<Side, number>;
    for (const name of round % 2 === 0 ? names : names.toReversed()) rates[name] = await sides[name]();
    measured.push(rates);
  }
  return new Rates(measured);
}
