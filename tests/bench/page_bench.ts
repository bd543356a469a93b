/** What a page of messages costs in a session of 100 messages and in one of 100,000: it must be the same. */
import { startRunningTask } from "../lib/chat/fixture.ts";
import { type Bench, type Figure, median, timed } from "./figure.ts";

const SMALL = 100;
const LARGE = 100_000;
const PAGES = 60;
const LIMIT = 50;
const TEXT = "A line of an answer as coding agents write them, with some more words in it. ".repeat(3);

async function measure(): Promise<Figure[]> {
  const directory = await Deno.makeTempDir({ prefix: "hearth-bench-" });
  try {
    await using running = await startRunningTask({
      env: { HEARTH_KV: `${directory}/edge.kv`, MAX_MESSAGES_PER_SESSION: "200000" },
    });
    const fill = async (upTo: number) => {
      for (let { lastSeq } = await running.readSession(); lastSeq < upTo; lastSeq += 100) {
        await running.post(running.batch(...Array<string>(Math.min(100, upTo - lastSeq)).fill(TEXT)));
      }
    };
    const read = (query: string) => running.test.admin.call(`GET ${running.session}/messages?limit=${LIMIT}${query}`);
    const cost = async (query: string) => {
      for (let i = 0; i < 10; i++) await read(query);
      const samples: number[] = [];
      for (let i = 0; i < PAGES; i++) samples.push(await timed(() => read(query)));
      return median(samples);
    };
    await fill(SMALL);
    const small = { newest: await cost(""), middle: await cost("&before=76") };
    await fill(LARGE);
    const large = { newest: await cost(""), middle: await cost("&before=50001") };
    const goal = { atMost: 1.5 };
    return [
      { name: "newest page of 100 messages", value: small.newest, unit: "ms" },
      { name: "newest page of 100,000 messages", value: large.newest, unit: "ms" },
      { name: "newest page, 100,000 against 100", value: large.newest / small.newest, unit: "ratio", goal },
      { name: "page from the middle of 100,000 messages", value: large.middle, unit: "ms" },
      { name: "page from the middle, 100,000 against 100", value: large.middle / small.middle, unit: "ratio", goal },
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

export const bench: Bench = { title: "Pages: messages of a long session", measure };
