/** Whether there is room on the disk for another workspace. */
import { statfs } from "node:fs/promises";

const FREE_MIN_BYTES = 1024 ** 3;

/** Throws an Error with a sentence for a person when less than 1 GiB is free, also after `makeRoom`. */
export async function requireSpace(folder: string, makeRoom: () => Promise<void>): Promise<void> {
  if (await freeBytes(folder) >= FREE_MIN_BYTES) return;
  await makeRoom();
  const free = await freeBytes(folder);
  if (free >= FREE_MIN_BYTES) return;
  throw new Error(`The node's disk is almost full: ${Math.floor(free / 1024 ** 2)} MiB are free, 1024 are needed.`);
}

async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
