/**
 * Notices a coding agent that goes round in circles: the same tool calls, or the same few in turn, with the same input
 * and the same result, again and again. What is repeated is kept as short hashes; a turn begins anew.
 */
import { createHash } from "node:crypto";
import type { SessionUpdate, ToolCallFields } from "./updates.ts";

/** Circles of up to so many calls are noticed. */
const PERIOD_MAX = 4;
/** Open calls that are remembered; more than any agent runs at once. */
const OPEN_MAX = 1_000;

export class Progress {
  readonly #repeatsMax: number;
  readonly #open = new Map<string, ToolCallFields>();
  #finished: { key: string; title: string }[] = [];

  /** `repeatsMax`: how often is too often; 0: never. */
  constructor(repeatsMax: number) {
    this.#repeatsMax = repeatsMax;
  }

  /** A turn begins. */
  reset(): void {
    this.#open.clear();
    this.#finished = [];
  }

  note(update: SessionUpdate): void {
    if (update.sessionUpdate !== "tool_call" && update.sessionUpdate !== "tool_call_update") return;
    const call = merge(this.#open.get(update.toolCallId), update);
    if (call.status !== "completed" && call.status !== "failed") {
      if (this.#open.size < OPEN_MAX) this.#open.set(update.toolCallId, call);
      return;
    }
    this.#open.delete(update.toolCallId);
    const { kind, title, rawInput, status, content, rawOutput } = call;
    const key = hashOf(JSON.stringify([kind, title, rawInput, status, content, rawOutput]));
    this.#finished.push({ key, title: title ?? kind ?? "a tool" });
    this.#finished = this.#finished.slice(-PERIOD_MAX * Math.max(1, this.#repeatsMax));
  }

  /** What is done over and over, in a sentence; null while there is progress. */
  get stuck(): string | null {
    if (this.#repeatsMax === 0) return null;
    const keys = this.#finished.map(({ key }) => key);
    const period = findCircle(keys, this.#repeatsMax);
    if (period === 0) return null;
    const titles = [...new Set(this.#finished.slice(-period).map(({ title }) => title))].join(", then ");
    return `The coding agent made no progress: it did the same ${this.#repeatsMax} times with the same result (${titles}).`;
  }
}

/** The shortest circle that the end of `keys` goes through at least `repeats` times; 0: none. Pure. */
export function findCircle(keys: readonly string[], repeats: number): number {
  for (let period = 1; period <= PERIOD_MAX; period++) {
    const tail = keys.slice(-period * repeats);
    if (tail.length < period * repeats) return 0;
    if (tail.every((key, at) => key === tail[at % period])) return period;
  }
  return 0;
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Absent and null both mean: unchanged. */
function merge(known: ToolCallFields | undefined, update: ToolCallFields): ToolCallFields {
  if (!known) return update;
  return {
    ...known,
    title: update.title ?? known.title,
    kind: update.kind ?? known.kind,
    status: update.status ?? known.status,
    content: update.content ?? known.content,
    rawInput: update.rawInput ?? known.rawInput,
    rawOutput: update.rawOutput ?? known.rawOutput,
  };
}
