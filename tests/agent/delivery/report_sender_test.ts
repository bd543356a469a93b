import { assertEquals } from "@std/assert";
import { ReportSender, type ReportSenderOptions } from "../../../agent/delivery/report_sender.ts";
import { type Database, openDatabase } from "../../../agent/store/database.ts";
import { type Report, Reports } from "../../../agent/store/reports.ts";
import { FakeEdge, problemOf } from "../../fakes/edge_server.ts";
import { OTHER_WORKSPACE, silent, withDataDir, WORKSPACE } from "../store/fixture.ts";
import { makeClient, QUICK } from "./fixture.ts";

interface Bench {
  edge: FakeEdge;
  open(): Promise<{ db: Database; reports: Reports }>;
  send(reports: Reports, onAnswer?: ReportSenderOptions["onAnswer"]): Promise<ReportSender>;
  answers: string[];
}

function withBench(work: (bench: Bench) => Promise<void>): Promise<void> {
  return withDataDir(async (dataDir) => {
    await using edge = new FakeEdge();
    const answers: string[] = [];
    const note: ReportSenderOptions["onAnswer"] = (report, answer) => {
      answers.push(`${report.reportId} ${answer.status}`);
      return Promise.resolve();
    };
    await work({
      edge,
      answers,
      open: async () => {
        const db = await openDatabase(dataDir, { ballastBytes: 0 });
        return { db, reports: new Reports(db) };
      },
      send: async (reports, onAnswer = note) => {
        const client = await makeClient(dataDir, edge);
        const sender = new ReportSender({ reports, edge: client, config: QUICK, onAnswer, log: silent });
        await sender.start();
        return sender;
      },
    });
  });
}

function makeReport(reportId: string, workspaceId = WORKSPACE): Report {
  return { reportId, workspaceId, kind: "turn", path: `/api/workspaces/${workspaceId}/turns`, body: { reportId } };
}

const sent = (edge: FakeEdge) => edge.seen("/turns").map((request) => (request.body as { reportId: string }).reportId);

Deno.test("reports are sent in order, those of before a restart first, and each answer is handed on", () =>
  withBench(async ({ edge, open, send, answers }) => {
    {
      const { db, reports } = await open();
      await reports.add(makeReport("a"));
      await reports.add(makeReport("b"));
      await db[Symbol.asyncDispose]();
    }
    const { db, reports } = await open();
    await using _db = db;
    await using _sender = await send(reports);
    await reports.add(makeReport("c"));
    await reports.whenEmpty(WORKSPACE);
    assertEquals(sent(edge), ["a", "b", "c"]);
    assertEquals(answers, ["a 200", "b 200", "c 200"]);
  }));

Deno.test("what is not an answer is tried again; a refusal ends the report and is handed on too", () =>
  withBench(async ({ edge, open, send, answers }) => {
    const { db, reports } = await open();
    await using _db = db;
    const failures = [
      () => problemOf(500, "internal_error"),
      () => problemOf(429, "rate_limited"),
      () => problemOf(401, "unauthorized"),
      () => problemOf(401, "unauthorized"),
      () => new Response("<html>"),
      () => problemOf(409, "invalid_transition"),
    ];
    edge.script = ({ path }) => path.endsWith("/turns") ? failures.shift()?.() : undefined;
    await using _sender = await send(reports);
    await reports.add(makeReport("a"));
    await reports.add(makeReport("b"));
    await reports.whenEmpty(WORKSPACE);
    assertEquals(answers, ["a 409", "b 200"]);
    assertEquals(sent(edge), ["a", "a", "a", "a", "a", "a", "b"]);
  }));

Deno.test("an answer that could not be taken comes again: the report is forgotten only afterwards", () =>
  withBench(async ({ edge, open, send }) => {
    const { db, reports } = await open();
    await using _db = db;
    let tries = 0;
    await using _sender = await send(reports, () => {
      tries++;
      return tries < 3 ? Promise.reject(new Error("not now")) : Promise.resolve();
    });
    await reports.add(makeReport("a"));
    await reports.whenEmpty(WORKSPACE);
    assertEquals(tries, 3);
    assertEquals(sent(edge), ["a", "a", "a"]);
  }));

Deno.test("one workspace's report does not wait for another's, and ending leaves what was not answered", () =>
  withBench(async ({ edge, open, send }) => {
    const { db, reports } = await open();
    await using _db = db;
    const held = Promise.withResolvers<undefined>();
    edge.script = ({ path }) => path.includes(WORKSPACE) ? held.promise : undefined;
    const sender = await send(reports);
    await reports.add(makeReport("slow"));
    await reports.add(makeReport("quick", OTHER_WORKSPACE));
    await reports.whenEmpty(OTHER_WORKSPACE);
    await sender[Symbol.asyncDispose]();
    held.resolve(undefined);
    assertEquals((await reports.oldest(WORKSPACE))!.reportId, "slow");
  }));
