/** What goes wrong in a seed, and how time passes in it. */
import type { Random } from "../chaos/random.ts";
import type { Weather } from "./world.ts";

const TIMES_MS = [1_000, 5_000, 15_000, 31_000, 31_000, 61_000, 61_000, 120_000, 310_000];

/** Some seeds only interleave, some are full of one kind of fault, some have a little of everything. */
export function drawWeather(random: Random): Weather {
  const some = (share: number, most: number) => random.chance(share) ? random.next() * most : 0;
  return {
    readFault: some(0.3, 0.01),
    commitFault: some(0.5, 0.05),
    providerFault: some(0.6, 0.4),
    repeat: some(0.7, 0.5),
    lostAnswer: some(0.6, 0.25),
    crash: some(0.6, 0.02),
    disaster: some(0.6, 0.08),
  };
}

/** How far the clock jumps. */
export function dropTimes(random: Random): number {
  return random.pick(TIMES_MS) + random.between(0, 500);
}
