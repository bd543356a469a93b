/**
 * The extension of the Agent Client Protocol by which a coding agent takes a prompt into the turn that runs: offered at
 * the handshake, asked for by a request of its own. One that finds no turn running leaves the prompt to us.
 */
import { z } from "zod";

export const STEER_METHOD = "_session/steering";
/** It is answered as soon as the prompt is in the coding agent's hands, not when that has said something to it. */
const ANSWER_MAX_MS = 5_000;

/** `unknown`: nothing was answered, so it may have come in or not. */
export type Steered = "injected" | "returned" | "unknown";

const offer = z.object({ steering: z.object({ supported: z.literal(true) }) });
const steerAnswer = z.object({ outcome: z.string() });
export const steerParams = z.object({
  sessionId: z.string(),
  prompt: z.array(z.object({ type: z.string(), text: z.string().default("") })),
});

/** Whether the `_meta` of the handshake's answer offers it. */
export function offersSteering(meta: unknown): boolean {
  return offer.safeParse(meta).success;
}

/** The request's parameters. Without the wish for `promptRequired` a prompt that comes too late would begin a turn unseen. */
export function toSteerParams(sessionId: string, text: string) {
  const prompt = [{ type: "text", text }];
  return { sessionId, prompt, _meta: { steering: { idleBehavior: "promptRequired" } } };
}

/** What the request came to. Never throws. */
export async function readSteered(asked: Promise<unknown>, isAlive: () => boolean): Promise<Steered> {
  const { promise: late, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), ANSWER_MAX_MS);
  try {
    const read = steerAnswer.safeParse(await Promise.race([asked, late]));
    if (!read.success) return "unknown";
    return read.data.outcome === "promptRequired" ? "returned" : "injected";
  } catch {
    // One that refuses has not taken it in; of one that ended nobody knows.
    return isAlive() ? "returned" : "unknown";
  } finally {
    clearTimeout(timer);
  }
}
