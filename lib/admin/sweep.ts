/**
 * `sweep run`: the sweeps of the edge that runs, now. They are never run beside it: only the edge itself knows the
 * machines that it supervises.
 */
import { makeApiKey, revokeApiKey } from "../auth/api_keys.ts";
import { listUsers } from "../store/accounts.ts";
import { endpoints } from "../wire/endpoints.ts";
import { type CommandCall, type CommandResult, formatList, Refusal } from "./command.ts";
import { findRunningEdge } from "./running.ts";

const ANSWER_MAX_MS = 600_000;

export async function runSweepCommand(call: CommandCall): Promise<CommandResult> {
  const { edge } = call;
  const url = await findRunningEdge(edge);
  if (!url) throw new Refusal("No Hearth runs on this data, so there is nothing to sweep with. Start it first.");
  const admin = (await listUsers(edge.store)).find((user) => user.role === "admin" && !user.disabled);
  if (!admin) throw new Refusal("There is no admin who may run the sweeps.");
  // A key for this one call: the edge is asked as anybody would ask it.
  const { key, record } = await makeApiKey(edge, admin.id, { name: "sweep run" });
  try {
    const steps = await askForSweep(url, key);
    return formatList(call, Object.entries(steps).map(([step, mended]) => ({ step, mended: mended ?? "failed" })));
  } finally {
    await revokeApiKey(edge, admin.id, record.id);
  }
}

async function askForSweep(url: string, key: string): Promise<Record<string, number | null>> {
  const { method, path, answer } = endpoints.runSweep;
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(ANSWER_MAX_MS),
  });
  if (!response.ok) throw new Refusal(`The Hearth that runs answered ${response.status}: ${await response.text()}`);
  return answer.parse(await response.json()).steps;
}
