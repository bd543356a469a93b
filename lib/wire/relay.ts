/**
 * What passes between a browser, the edge and the socket that an agent dials for a relay. Binary frames are the bytes of
 * a terminal, in both directions; text frames are these. Output has a window: the agent sends no more than that ahead of
 * what the reader has taken, so that a flood waits in the program that makes it and nowhere else.
 */
import { z } from "zod";
import { count, uuid } from "./common.ts";
import { gitState } from "./git_state.ts";
import { ERROR_MAX } from "./limits.ts";

/** Output that may be on its way to the reader. */
export const TERMINAL_WINDOW_BYTES = 256 * 1024;
/** One binary frame, in either direction. */
export const TERMINAL_CHUNK_MAX_BYTES = 32 * 1024;
/** Terminals of one workspace that may be open at once. */
export const TERMINALS_PER_WORKSPACE = 4;
/** An agent that was called to an instance which does not hold the relay dials again, so often and for so long. */
export const RELAY_DIALS_MAX = 20;
export const RELAY_DIAL_MS = 10_000;

/** Why a socket of a relay or of a terminal was closed. */
export const RELAY_CLOSE = {
  /** To the agent: this instance does not hold the relay; dial again. */
  notHere: 4404,
  signedOut: 4401,
  noAccess: 4403,
  badFrame: 4400,
  /** Nobody typed and nothing was said for too long, or it was open for longer than a terminal may be. */
  tooLong: 4408,
  /** The workspace has ended, or its machine was given up. */
  ended: 4410,
  tooMany: 4429,
  /** The machine does not answer. */
  unreachable: 4504,
  tooSlow: 1013,
} as const;

const size = { cols: z.int().min(2).max(500), rows: z.int().min(1).max(300) };
export const terminalSize = z.object(size);
export type TerminalSize = z.infer<typeof terminalSize>;

/** The query with which a browser asks for a terminal instead of the live messages. */
export const terminalQuery = z.object({
  terminal: z.literal("1"),
  cols: z.coerce.number().pipe(size.cols).default(80),
  rows: z.coerce.number().pipe(size.rows).default(24),
});

const resize = z.object({ type: z.literal("resize"), ...size });
/** How many bytes of output the reader has taken in all. */
const ack = z.object({ type: z.literal("ack"), bytes: count });

/** From the browser of a terminal. */
export const terminalInputFrame = z.discriminatedUnion("type", [resize, ack]);
export type TerminalInputFrame = z.infer<typeof terminalInputFrame>;

/** To the agent; the first frame says what the relay is for. */
export const relayToAgentFrame = z.discriminatedUnion("type", [
  z.object({ type: z.literal("terminal"), ...size }),
  z.object({ type: z.literal("git") }),
  resize,
  ack,
]);
export type RelayToAgentFrame = z.infer<typeof relayToAgentFrame>;

const ready = z.object({ type: z.literal("ready") });
const exit = z.object({ type: z.literal("exit"), code: z.int().nullable() });
/** What was asked for cannot be had; a sentence for a person. */
const refused = z.object({ type: z.literal("refused"), message: z.string().max(ERROR_MAX) });

/** To the browser of a terminal. */
export const terminalOutputFrame = z.discriminatedUnion("type", [ready, exit, refused]);
export type TerminalOutputFrame = z.infer<typeof terminalOutputFrame>;

/** From the agent. */
export const relayToEdgeFrame = z.discriminatedUnion("type", [
  ready,
  exit,
  refused,
  z.object({ type: z.literal("git"), state: gitState }),
]);
export type RelayToEdgeFrame = z.infer<typeof relayToEdgeFrame>;

export const relayPath = (nodeId: string, relayId: string): string => `/api/nodes/${nodeId}/relay/${relayId}`;
export const relayId = uuid;
