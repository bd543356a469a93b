import { assertEquals, assertRejects } from "@std/assert";
import { openDatabase } from "../../../agent/store/database.ts";
import { type Report, Reports } from "../../../agent/store/reports.ts";
import { OTHER_WORKSPACE, withDatabase, withDataDir, WORKSPACE } from "./fixture.ts";

function makeReport(reportId: string, change: Partial<Report> = {}): Report {
  return {
    reportId,
    workspaceId: WORKSPACE,
    kind: "status",
    path: `/api/workspaces/${WORKSPACE}/status`,
    body: { status: "ready" },
    ...change,
  };
}

Deno.test("reports come in the order in which they were made, each workspace on its own, and survive a restart", () =>
  withDataDir(async (dataDir) => {
    {
      await using db = await openDatabase(dataDir, { ballastBytes: 0 });
      const reports = new Reports(db);
      await reports.add(makeReport("a"));
      await reports.add(makeReport("x", { workspaceId: OTHER_WORKSPACE, kind: "turn", body: { text: "nul \0" } }));
      await reports.add(makeReport("b"));
      await reports.add(makeReport("a", { body: { status: "running" } }));
    }
    await using db = await openDatabase(dataDir, { ballastBytes: 0 });
    const reports = new Reports(db);
    assertEquals((await reports.workspacesWithReports()).toSorted(), [WORKSPACE, OTHER_WORKSPACE]);
    const first = await reports.oldest(WORKSPACE);
    const { id, ...report } = first!;
    assertEquals(report, makeReport("a"));
    await reports.done(id);
    assertEquals((await reports.oldest(WORKSPACE))!.reportId, "b");
    assertEquals((await reports.oldest(OTHER_WORKSPACE))!.body, { text: "nul \0" });
  }));

Deno.test("a new report is told to those who listen, and whenEmpty waits for the last one", () =>
  withDatabase(async (db) => {
    const reports = new Reports(db);
    const heard: string[] = [];
    const end = reports.onReport((workspaceId) => heard.push(workspaceId));
    await reports.whenEmpty(WORKSPACE);
    await reports.add(makeReport("a"));
    end();
    await reports.add(makeReport("b"));
    assertEquals(heard, [WORKSPACE]);

    await assertRejects(() => reports.whenEmpty(WORKSPACE, AbortSignal.abort(new Error("no time"))), Error, "no time");
    let empty = false;
    const waiting = reports.whenEmpty(WORKSPACE).then(() => empty = true);
    await reports.done((await reports.oldest(WORKSPACE))!.id);
    assertEquals(empty, false);
    await reports.done((await reports.oldest(WORKSPACE))!.id);
    await waiting;
    assertEquals(await reports.oldest(WORKSPACE), null);
  }));
