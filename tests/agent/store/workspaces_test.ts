import { assert, assertEquals } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { type WorkspaceRow, WorkspaceRows } from "../../../agent/store/workspaces.ts";
import type { Runtime } from "../../../lib/wire/workspace.ts";
import { OTHER_WORKSPACE, SESSION, withDatabase, withDataDir, WORKSPACE } from "./fixture.ts";

const RUNTIME: Runtime = {
  workspaceId: WORKSPACE,
  nodeId: OTHER_WORKSPACE,
  projectId: null,
  taskId: null,
  run: 1,
  chatSessionId: SESSION,
  title: "Try",
  repositoryUrl: "https://example.org/a.git",
  baseBranch: "main",
  fallbackBranch: null,
  recap: null,
  branch: "task/x",
  outputCommit: null,
  codingAgent: "demo",
  permissionMode: "autonomous",
  permissionPolicy: { reads: true, edits: true },
  permissionTimeoutMs: 60_000,
  prompt: { messageId: SESSION, text: "say hello" },
  limits: { maxCostUsd: null, maxMinutes: null, maxTurns: null },
  credentials: { MODEL_KEY: "sk-very-secret-value" },
  gitCredential: { host: "example.org", username: "ann", password: "very-secret-token" },
  wanted: "run",
};

function makeWorkspaceRow(workspaceId = WORKSPACE): Omit<WorkspaceRow, "updatedAt"> {
  return {
    workspaceId,
    run: 1,
    facts: null,
    phase: "creating",
    acpSessionId: null,
    branch: null,
    promptId: null,
    promptState: "none",
    promptText: null,
    resumes: 0,
  };
}

Deno.test("a workspace's row is kept over a restart, with what was changed since", () =>
  withDataDir(async (dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      const rows = new WorkspaceRows(db);
      await rows.put(makeWorkspaceRow());
      assertEquals(
        await rows.patch(WORKSPACE, { phase: "running", promptText: "nul \0", promptState: "handed" }),
        true,
      );
      assertEquals(await rows.patch(WORKSPACE, { promptState: "running" }), true);
      assertEquals(await rows.patch(OTHER_WORKSPACE, { phase: "running" }), false);
    }
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const rows = new WorkspaceRows(db);
    const { updatedAt, ...row } = (await rows.get(WORKSPACE))!;
    assertEquals(row, { ...makeWorkspaceRow(), phase: "running", promptText: "nul \0", promptState: "running" });
    assert(Date.parse(updatedAt) > 0);
    assertEquals((await rows.list()).length, 1);
    await rows.remove(WORKSPACE);
    assertEquals(await rows.get(WORKSPACE), null);
  }));

Deno.test("credentials that come with the runtime are not written to the disk", () =>
  withDatabase(async (db) => {
    const rows = new WorkspaceRows(db);
    await rows.put({ ...makeWorkspaceRow(), facts: { ...RUNTIME, baseCommit: "abc" } });
    const { credentials: _models, gitCredential: _git, ...facts } = RUNTIME;
    assertEquals((await rows.get(WORKSPACE))!.facts, { ...facts, baseCommit: "abc" });
    const found = await db.client.execute("SELECT state FROM workspaces");
    assert(!JSON.stringify(found.rows).includes("very-secret"));
  }));
