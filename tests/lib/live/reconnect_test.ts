/** A stream under drops at random moments: what a reader puts together equals what is stored. */
import { assertEquals } from "@std/assert";
import type { Message } from "../../../lib/wire/message.ts";
import { type RunningTask, startRunningTask } from "../chat/fixture.ts";
import { SocketFollower } from "./follower.ts";

const DROPS = 200;

/** Commits between two drops: all together fewer than the edge replays, so that no reader has to start anew. */
const COMMITS = 4;

/** What a page does: takes messages by seq, keeps the last cursor, fills what it lacks by reading. */
class Reader {
  readonly messages = new Map<number, Message>();
  cursor: string;
  #seen = 0;
  #lastSeq = 0;

  constructor(cursor: string) {
    this.cursor = cursor;
  }

  /** Takes in what a socket has brought since the last look. */
  take(follower: SocketFollower): void {
    for (const frame of follower.frames.slice(this.#seen)) {
      if (frame.type === "message.new") this.messages.set(frame.message.seq, frame.message);
      if (frame.type === "session.updated") this.#lastSeq = Math.max(this.#lastSeq, frame.session.lastSeq);
      if (frame.type !== "hello" && "cursor" in frame && frame.cursor) this.cursor = frame.cursor;
    }
    this.#seen = follower.frames.length;
  }

  dropped(): void {
    this.#seen = 0;
  }

  /** Seqs that the session says there are and that are not here. */
  get holes(): number[] {
    return Array.from({ length: this.#lastSeq }, (_, i) => i + 1).filter((seq) => !this.messages.has(seq));
  }
}

/** Messages of a run, a few commits at a time; says how many it made. */
async function stream(running: RunningTask, made: number): Promise<number> {
  for (let commit = 0; commit < COMMITS; commit++) {
    const size = 1 + Math.floor(Math.random() * 4);
    await running.post(running.batch(...Array.from({ length: size }, () => `message ${made++}`)));
  }
  return made;
}

for (const session of [true, false]) {
  const how = session ? "with its session in the address" : "that subscribes each time anew";
  Deno.test(`${DROPS} drops during a stream: a reader ${how} has what the store has`, async () => {
    await using running = await startRunningTask();
    const { test, projectId, sessionId } = running;
    const base = `/api/projects/${projectId}/ws`;
    await using greeter = SocketFollower.on(test, base, test.admin);
    const reader = new Reader((await greeter.first("hello")).cursor);
    let made = 0;
    for (let drop = 0; drop <= DROPS; drop++) {
      const streaming = stream(running, made);
      const path = `${base}?after=${reader.cursor}${session ? `&session=${sessionId}` : ""}`;
      await using follower = SocketFollower.on(test, path, test.admin);
      await follower.first("hello");
      if (!session) follower.subscribe(sessionId);
      const frames = 1 + Math.floor(Math.random() * COMMITS);
      await follower.until(() => follower.frames.length >= frames);
      // The cut is while the rest is on its way; the last reader stays to the end.
      if (drop < DROPS) {
        reader.take(follower);
        await follower[Symbol.asyncDispose]();
      }
      made = await streaming;
      if (drop === DROPS) {
        await follower.first("session.updated", (frame) => frame.session.lastSeq === made + 1);
        // The session comes in its newest state with every commit, so it may be ahead of the messages.
        if (session) await follower.first("message.new", (frame) => frame.message.seq === made + 1);
        reader.take(follower);
      }
      reader.dropped();
    }
    if (session) assertEquals(reader.holes.filter((seq) => seq > 1), [], "nothing has to be read again");
    for (const seq of reader.holes) {
      const page = (await test.admin.call(`GET ${running.session}/messages?after=${seq - 1}&limit=1`)).body;
      reader.messages.set(seq, page.items[0]);
    }
    const shown = [...reader.messages].toSorted(([a], [b]) => a - b).map(([, message]) => message);
    assertEquals(shown, await running.messages());
  });
}
