/**
 * What a scripted model says, and what it is asked: the same for every service's API, so that one script drives any
 * coding agent. How an API puts it on the wire is in `model_anthropic.ts`, `model_openai.ts` and `model_google.ts`.
 */

/** What every answer is said to have used. */
export const USAGE = { input: 1_000, output: 200 };
/** What every refusal says: it must never reach a person. */
export const REFUSED = "the script refuses";

export type Part =
  | { kind: "text"; text: string; deltas: number }
  | { kind: "thinking"; text: string }
  | { kind: "tool"; name: string; input: Record<string, unknown> }
  | Pause;

/** What comes between two parts, and is nothing on the wire. */
export type Pause =
  /** Nothing is sent until this resolves. */
  | { kind: "hold"; until: Promise<unknown> }
  /** Nothing more is ever sent, and the connection stays. */
  | { kind: "stall" }
  /** The connection ends in the middle. */
  | { kind: "drop" };

export interface Refusal {
  status: number;
  headers: Record<string, string>;
}

export type Answer = Part[] | Refusal;

/** What the coding agent asks its model. */
export interface Conversation {
  model: string;
  /** The newest text of the person. */
  prompt: string;
  /** Everything that was said so far, by whom it was said. */
  said: { role: string; text: string }[];
  /** What the tools called last gave back, by their names; empty where the person spoke last. */
  results: { name: string; text: string; isError: boolean }[];
  /** The tools that may be called. */
  tools: string[];
  /** How often this very conversation was asked before: 0 unless the coding agent tries again. */
  attempt: number;
}

export type Script = (conversation: Conversation) => Answer;

/** A call that asks a model, read from one API. */
export interface Asked extends Omit<Conversation, "prompt" | "attempt"> {
  /** What is answered without asking the script, where no tool may be called: titles, choices of a model. */
  aside: Part[];
  /** The answer as pieces of a stream with pauses between them, or whole where no stream was asked for. */
  answer(parts: Part[], id: string): Iterable<string | Pause> | Response;
  refuse(refusal: Refusal): Response;
}

/** Reads a call to this path; null for one that is not this API's, or asks no model. */
export type ModelApi = (path: string, body: string) => Asked | null;

/** Text in `deltas` pieces. */
export function say(text: string, deltas = 1): Part {
  return { kind: "text", text, deltas };
}

export function think(text: string): Part {
  return { kind: "thinking", text };
}

export function use(name: string, input: Record<string, unknown>): Part {
  return { kind: "tool", name, input };
}

/** An answer with this status, as the API gives it. */
export function fail(status: number, headers: Record<string, string> = {}): Refusal {
  return { status, headers };
}

export function isPause(part: Part): part is Pause {
  return part.kind === "hold" || part.kind === "stall" || part.kind === "drop";
}

/** A text in about so many pieces. */
export function pieces(text: string, count: number): string[] {
  const size = Math.max(1, Math.ceil(text.length / Math.max(1, count)));
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) => text.slice(i * size, (i + 1) * size));
}
