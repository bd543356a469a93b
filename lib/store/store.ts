/**
 * Opens the store: one Deno.Kv handle per process and file. At start it proves what the mechanisms need (keys by
 * commit versionstamp, a schema that this program knows) and learns whether the store has queues.
 */
import { AppError, messageOf } from "../errors.ts";
import { newId } from "../ids.ts";
import { metaKey } from "./keys.ts";

const SCHEMA = 1;
const PATIENCE_MS = 10_000;

export interface Store {
  kv: Deno.Kv;
  /** A handle for the watch: its own for a remote store, the same one for a local file. */
  watchKv: Deno.Kv;
  /** Whether `enqueue` with a delay works: with a local file only. */
  queues: boolean;
  /** Names this deployment: on servers at a provider and in marks of processes. */
  installationId: string;
  /** How long a change is tried before its caller is told that the store is busy. */
  patienceMs: number;
  /** Hint to the scheduler of this process that something is due at this time; lost hints only cost time. */
  onDue: (atMs: number) => void;
  /** Hint to the heads of this process that these topics have news. */
  onAnnounce: (topics: string[]) => void;
  close(): void;
}

/** Opens `path` (a file, `:memory:`, or the URL of a KV Connect server; undefined: the platform's database). */
export async function openStore(path: string | undefined): Promise<Store> {
  const remote = path === undefined || /^https?:/.test(path);
  const kv = await Deno.openKv(path);
  const watchKv = remote ? await Deno.openKv(path) : kv;
  const close = () => {
    kv.close();
    if (watchKv !== kv) watchKv.close();
  };
  try {
    await checkSchema(kv);
    await probeVersionstampKeys(kv);
    const installationId = await readInstallationId(kv);
    const hints = { onDue: () => {}, onAnnounce: () => {} };
    return { kv, watchKv, queues: !remote, installationId, patienceMs: PATIENCE_MS, ...hints, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Whether the store answers a write and a read. */
export async function isStoreReady(store: Store): Promise<boolean> {
  try {
    await store.kv.set(metaKey("probe"), 1, { expireIn: 60_000 });
    return (await store.kv.get(metaKey("probe"))).versionstamp !== null;
  } catch {
    return false;
  }
}

/** Whether a thrown error means that nothing was applied and the commit may simply be tried again. */
export function isLocked(error: unknown): boolean {
  return /database is locked|SQLITE_BUSY/i.test(messageOf(error));
}

async function checkSchema(kv: Deno.Kv): Promise<void> {
  const known = await kv.get<number>(metaKey("schema"));
  if (known.value === null) await kv.atomic().check(known).set(metaKey("schema"), SCHEMA).commit();
  else if (known.value > SCHEMA) {
    throw new AppError(
      "internal_error",
      `The data was written by a newer Hearth (schema ${known.value}, this program knows ${SCHEMA}). Start the newer version.`,
    );
  }
}

async function readInstallationId(kv: Deno.Kv): Promise<string> {
  const known = await kv.get<string>(metaKey("installation"));
  if (known.value !== null) return known.value;
  await kv.atomic().check(known).set(metaKey("installation"), newId()).commit();
  return (await kv.get<string>(metaKey("installation"))).value!;
}

/** The feed needs keys that end in the commit's versionstamp; a store without them must not be written to. */
async function probeVersionstampKeys(kv: Deno.Kv): Promise<void> {
  const prefix = metaKey("versionstampProbe");
  const { versionstamp } = await kv.atomic().set([...prefix, kv.commitVersionstamp()], 1, { expireIn: 60_000 })
    .commit() as Deno.KvCommitResult;
  const found = await kv.get([...prefix, versionstamp]);
  if (found.value !== 1) {
    throw new Error("This KV store cannot make keys from commit versionstamps, which Hearth needs.");
  }
  await kv.delete([...prefix, versionstamp]);
}
