/**
 * Messages per second through the batch endpoint, against bare KV commits of the same messages in the same run: what
 * HTTP, tokens, schemas, de-duplication, session record and feed cost together.
 */
import { startTestEdge } from "../edge.ts";
import { FakeAgent, newMessage } from "../fakes/agent.ts";
import { type Bench, type Figure, timed } from "./figure.ts";

const BATCHES = 150;
const PER_BATCH = 100;
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    await using test = await startTestEdge({ env: { HEARTH_KV: `${directory}/edge.kv` } });
    const booted = Promise.withResolvers<FakeAgent>();
    test.provider.onCreate = (spec) => booted.resolve(FakeAgent.boot(test.url, spec));
    const project = await test.addProject();
    await test.admin.call(`POST /api/projects/${project.id}/tasks/submit`, { description: "bench" });
    await using agent = await booted.promise;
    const runtime = await agent.begin();
    const token = await agent.workspaceToken(runtime.workspaceId);
    const address = `${test.url}/api/workspaces/${runtime.workspaceId}/messages`;
    const makeBatches = (count: number) =>
      Array.from(
        { length: count },
        () => Array.from({ length: PER_BATCH }, () => newMessage(runtime.chatSessionId!, TEXT)),
      );
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    // What both sides get is made beforehand: only the storing is measured.
    const post = async (bodies: string[]) => {
      for (const body of bodies) await (await fetch(address, { method: "POST", headers, body })).json();
    };
    const commit = async (kv: Deno.Kv, batches: ReturnType<typeof newMessage>[][]) => {
      for (const batch of batches) await commitBare(kv, batch);
    };
    const serialise = (batches: unknown[][]) => batches.map((messages) => JSON.stringify({ messages }));
    const kv = await Deno.openKv(`${directory}/bare.kv`);
    try {
      await post(serialise(makeBatches(10)));
      await commit(kv, makeBatches(10));
      const [bodies, batches] = [serialise(makeBatches(BATCHES)), makeBatches(BATCHES)];
      const bareMs = await timed(() => commit(kv, batches));
      const edgeMs = await timed(() => post(bodies));
      const rate = (ms: number) => (BATCHES * PER_BATCH * 1_000) / ms;
      return [
        { name: "bare KV commits of the same messages", value: rate(bareMs), unit: "per s" },
        { name: "batch endpoint", value: rate(edgeMs), unit: "per s" },
        { name: "batch endpoint against bare commits", value: bareMs / edgeMs, unit: "ratio", goal: { atLeast: 0.5 } },
      ];
    } finally {
      kv.close();
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The least that storing a batch takes: each message, its id key, and the session's record, in one commit. */
async function commitBare(kv: Deno.Kv, batch: ReturnType<typeof newMessage>[]): Promise<void> {
  const session = await kv.get<{ lastSeq: number }>(["session"]);
  const lastSeq = session.value?.lastSeq ?? 0;
  const op = kv.atomic().check(session).set(["session"], { lastSeq: lastSeq + batch.length });
  batch.forEach((message, i) =>
    op.set(["msg", lastSeq + i + 1], message).set(["msgId", message.messageId], lastSeq + i + 1)
  );
  await op.commit();
}

export const bench: Bench = { title: "Ingest: messages into the edge", measure };
