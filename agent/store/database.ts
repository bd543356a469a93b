/**
 * The agent's one libSQL file. What a write resolved for is on the disk (WAL, synchronous=FULL). One data directory has
 * one agent: a lock that the kernel frees with the process. When the disk is full a ballast file is given up, so that
 * the outbox can still record and drain.
 */
import { type Client, createClient, type InStatement, LibsqlError, type ResultSet } from "@libsql/client";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { messageOf } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { Listeners } from "./listeners.ts";
import { SCHEMA_STEPS } from "./schema.ts";

const BALLAST_BYTES = 16 * 1024 * 1024;
const BUSY_TIMEOUT_MS = 5_000;
/** What waits is tried again much more often than anybody has to hear of it. */
const FULL_AGAIN_MS = 2_000;

export interface Database extends AsyncDisposable {
  client: Client;
  /** Names this data directory for ever; part of the mark of every process started from it. */
  instanceId: string;
  dataDir: string;
  /** All statements in one transaction, durable when it resolves. */
  write(statements: InStatement[]): Promise<ResultSet[]>;
  /**
   * The same without waiting for the disk: it outlives this program, but when the machine fails it may never have been.
   * For what is then done again without harm.
   */
  writeLightly(statements: InStatement[]): Promise<ResultSet[]>;
  /** Calls `listener` when there is no room on the disk: at once, and now and then while it lasts. Answers its end. */
  onDiskFull(listener: () => void): () => void;
  /** Runs `work` after everything that was handed in before: for decisions on what was just read. */
  exclusive<T>(work: () => Promise<T>): Promise<T>;
}

export interface DatabaseOptions {
  ballastBytes?: number;
}

/** Another agent runs on this data directory. */
export class DataDirectoryInUse extends Error {
  override name = "DataDirectoryInUse";
  readonly pid: string;

  constructor(dataDir: string, pid: string) {
    super(`The data directory ${dataDir} is in use by the agent with process id ${pid}. Stop that one first.`);
    this.pid = pid;
  }
}

/** Opens (or makes) `agent.db` in `dataDir`, alone. Throws DataDirectoryInUse when another agent holds it. */
export async function openDatabase(dataDir: string, options: DatabaseOptions = {}): Promise<Database> {
  const directory = resolve(dataDir);
  await makePrivateDirectory(directory);
  const lock = await lockDirectory(directory);
  try {
    const client = await openFile(directory);
    const ballast = await Ballast.make(join(directory, "ballast"), options.ballastBytes ?? BALLAST_BYTES);
    return new AgentDatabase({ client, lock, ballast, dataDir: directory });
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** Opens the file of a data directory beside an agent that may be running on it: for people who look at it. */
export async function openBeside(dataDir: string): Promise<Client> {
  const path = join(resolve(dataDir), "agent.db");
  const found = await Deno.stat(path).catch(() => null);
  if (!found) throw new Error(`There is no agent's database at ${path}. Set AGENT_DATA_DIR to the agent's directory.`);
  return await openFile(resolve(dataDir));
}

class AgentDatabase implements Database {
  readonly client: Client;
  readonly dataDir: string;
  readonly instanceId: string;
  #lock: Deno.FsFile;
  #ballast: Ballast;
  #full = new Listeners<void>();
  #toldFullAt = -Infinity;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: { client: Client; lock: Deno.FsFile; ballast: Ballast; dataDir: string }) {
    this.client = parts.client;
    this.dataDir = parts.dataDir;
    this.instanceId = readInstanceId(parts.dataDir);
    this.#lock = parts.lock;
    this.#ballast = parts.ballast;
  }

  write(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#withBallast(async () => {
      const [only, ...more] = statements;
      // A single statement is a transaction by itself, without two more to prepare around it.
      if (only !== undefined && more.length === 0) return [await this.client.execute(only)];
      return await this.client.batch(statements, "write");
    });
  }

  writeLightly(statements: InStatement[]): Promise<ResultSet[]> {
    return this.#withBallast(async () => {
      // Asked for in one go, the three stand together in the line for the one connection: nobody writes between them.
      const [, results] = await Promise.all([
        this.client.execute("PRAGMA synchronous=NORMAL"),
        this.client.batch(statements, "write"),
        this.client.execute("PRAGMA synchronous=FULL"),
      ]);
      return results;
    });
  }

  onDiskFull(listener: () => void): () => void {
    return this.#full.add(listener);
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }

  async #withBallast<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      const hasRoom = this.#ballast.release();
      this.#tellFull();
      if (!hasRoom) throw error;
      return await work();
    }
  }

  #tellFull(): void {
    const now = performance.now();
    if (now - this.#toldFullAt < FULL_AGAIN_MS) return;
    this.#toldFullAt = now;
    this.#full.call();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.client.close();
    this.#lock.close();
  }
}

/** Space that is held back while there is plenty, and given up when the disk is full. */
class Ballast {
  #path: string;
  private constructor(path: string) {
    this.#path = path;
  }

  static async make(path: string, bytes: number): Promise<Ballast> {
    const ballast = new Ballast(path);
    const found = await Deno.stat(path).catch(() => null);
    if (found?.size === bytes) return ballast;
    // A disk that has no room for it now is no reason not to start.
    await Deno.writeFile(path, new Uint8Array(bytes), { mode: 0o600 }).catch(() => ballast.release());
    return ballast;
  }

  /** True when it was there and is gone now. */
  release(): boolean {
    try {
      Deno.removeSync(this.#path);
      return true;
    } catch {
      return false;
    }
  }
}

/** Makes the directory, or closes an existing one to everybody else. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  try {
    await Deno.mkdir(directory, { recursive: true, mode: 0o700 });
    await Deno.chmod(directory, 0o700);
  } catch (error) {
    throw new Error(`The data directory ${directory} cannot be used: ${messageOf(error)}`, { cause: error });
  }
}

/** Takes the directory for this process alone. Throws DataDirectoryInUse when another one holds it. */
export async function lockDirectory(directory: string): Promise<Deno.FsFile> {
  const path = join(directory, "agent.lock");
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  if (!await file.tryLock(true)) {
    const pid = (await Deno.readTextFile(path)).trim();
    file.close();
    throw new DataDirectoryInUse(directory, pid || "unknown");
  }
  await file.truncate(0);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return file;
}

async function openFile(directory: string): Promise<Client> {
  const url = pathToFileURL(join(directory, "agent.db")).href;
  const client = createClient({ url, concurrency: 1, timeout: BUSY_TIMEOUT_MS });
  try {
    await client.execute("PRAGMA journal_mode=WAL");
    await client.execute("PRAGMA synchronous=FULL");
    await migrate(client);
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

async function migrate(client: Client): Promise<void> {
  const version = Number((await client.execute("PRAGMA user_version")).rows[0]?.user_version ?? 0);
  if (version > SCHEMA_STEPS.length) {
    throw new Error(
      `The agent's database has version ${version}, this agent knows up to ${SCHEMA_STEPS.length}. Install the newer agent again.`,
    );
  }
  for (let step = version; step < SCHEMA_STEPS.length; step++) {
    await client.batch([...SCHEMA_STEPS[step]!, `PRAGMA user_version=${step + 1}`], "write");
  }
}

/** The id that the directory was given when it was first used: first part of every mark of its processes. */
export function readInstanceId(directory: string): string {
  const path = join(directory, "instance-id");
  try {
    const known = Deno.readTextFileSync(path).trim();
    if (known !== "") return known;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const made = newId();
  Deno.writeTextFileSync(path, `${made}\n`, { mode: 0o600 });
  return made;
}

function isDiskFull(error: unknown): boolean {
  return error instanceof LibsqlError && (error.code === "SQLITE_FULL" || error.code.startsWith("SQLITE_IOERR"));
}
