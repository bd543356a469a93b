/** What a page of messages costs in a session of 100 messages and in one of 100,000: it must be the same. */
import { newMessage } from "../fakes/agent.ts";
import { startRunningTask } from "../lib/chat/fixture.ts";
import { type Bench, type Figure, median, timed } from "./figure.ts";

const SMALL = 100;
const LARGE = 100_000;
const PAGES = 100;
const LIMIT = 50;
type Page = "newestSmall" | "middleSmall" | "newestLarge" | "middleLarge";

const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    await using running = await startRunningTask({
      env: { HEARTH_KV: `${directory}/edge.kv`, MAX_MESSAGES_PER_SESSION: "200000" },
    });
    const { test, agent, projectId } = running;
    const small = (await test.admin.call("POST /api/workspaces", { projectId })).body;
    const texts = (count: number) => Array<string>(count).fill(TEXT);
    await agent.messages(small.id, texts(SMALL).map((text) => newMessage(small.sessionId, text)));
    for (let count = 0; count < LARGE; count += 100) await running.post(running.batch(...texts(100)));
    const path = `/api/projects/${projectId}/sessions` as const;
    const costs = { newestSmall: [], middleSmall: [], newestLarge: [], middleLarge: [] } as Record<Page, number[]>;
    const queries: Record<Page, string> = {
      newestSmall: `${small.sessionId}/messages?limit=${LIMIT}`,
      middleSmall: `${small.sessionId}/messages?limit=${LIMIT}&before=76`,
      newestLarge: `${running.sessionId}/messages?limit=${LIMIT}`,
      middleLarge: `${running.sessionId}/messages?limit=${LIMIT}&before=50001`,
    };
    // In turns, so that a busy machine hurts all alike.
    for (let i = 0; i < PAGES; i++) {
      for (const [page, query] of Object.entries(queries) as [Page, string][]) {
        costs[page].push(await timed(() => test.admin.call(`GET ${path}/${query}`)));
      }
    }
    const of = (page: Page) => median(costs[page]);
    const goal = { atMost: 1.5 };
    const [newest, middle] = [of("newestLarge") / of("newestSmall"), of("middleLarge") / of("middleSmall")];
    return [
      { name: "newest page of 100 messages", value: of("newestSmall"), unit: "ms" },
      { name: "newest page of 100,000 messages", value: of("newestLarge"), unit: "ms" },
      { name: "newest page, 100,000 against 100", value: newest, unit: "ratio", goal },
      { name: "page from the middle of 100,000 messages", value: of("middleLarge"), unit: "ms" },
      { name: "page from the middle, 100,000 against 100", value: middle, unit: "ratio", goal },
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

export const bench: Bench = { title: "Pages: messages of a long session", measure };
