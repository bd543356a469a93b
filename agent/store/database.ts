/** The agent's one libSQL file. */
import type { Client } from "@libsql/client";

export interface Database extends AsyncDisposable {
  client: Client;
  /** Names this data directory for ever; part of the mark of every process started from it. */
  instanceId: string;
  dataDir: string;
}

/** Opens (or makes) `agent.db` in `dataDir`, alone. Throws DataDirectoryInUse when another agent holds it. */
export function openDatabase(_dataDir: string): Promise<Database> {
  throw new Error("not made");
}
