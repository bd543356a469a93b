/**
 * The answer that ends a turn: how it ended and what it used. Some coding agents tell a failure in an answer that reads
 * like a good end; they are asked to say so, and such a turn failed.
 */
import { z } from "zod";
import type { Tokens } from "../../lib/wire/common.ts";
import type { TurnReport } from "../../lib/wire/workspace.ts";
import { explainToldFailure } from "./failure.ts";

/** The extension by which Codex's adapter tells failures of a turn, and its tries before; asked for at the handshake. */
export const FAILURES_TOLD = { jetbrains: { air: { version: 1, capabilities: ["sessionFailure"] } } };

export type TurnEnd =
  | { stopReason: NonNullable<TurnReport["stopReason"]>; tokens: Tokens | null; costUsd: number | null }
  | { error: string; costUsd: number | null };

export interface TurnAnswer {
  stopReason: NonNullable<TurnReport["stopReason"]>;
  usage?: unknown;
  _meta?: unknown;
}

const used = z.object({ inputTokens: z.number(), outputTokens: z.number(), totalTokens: z.number() });
/** Where one tells it that does not use the protocol's own words. */
const counted = z.object({
  quota: z.object({ token_count: z.object({ input_tokens: z.number(), output_tokens: z.number() }) }),
});

const failure = z.object({ category: z.string(), severity: z.string(), title: z.string().catch("") });
const toldFailure = z.object({ jetbrains: z.object({ air: z.object({ sessionFailure: failure }) }) });

/** What `_meta` tells of the model's service: `isFinal` where nothing more is tried. Null where it tells of nothing. */
export function readFailure(meta: unknown): { category: string; title: string; isFinal: boolean } | null {
  const read = toldFailure.safeParse(meta);
  if (!read.success) return null;
  const { category, severity, title } = read.data.jetbrains.air.sessionFailure;
  return { category, title, isFinal: severity === "error" };
}

export interface TurnOptions {
  label: string;
  costUsd: number | null;
  /** It was told to end its turn. */
  wasCancelled: boolean;
}

/** The end of a turn that was answered. */
export function toTurnEnd(answer: TurnAnswer, { label, costUsd, wasCancelled }: TurnOptions): TurnEnd {
  const failed = readFailure(answer._meta);
  if (failed?.isFinal) return { error: explainToldFailure(failed, label), costUsd };
  // Not all of them say of a turn that was cancelled that it was.
  const stopReason = wasCancelled && answer.stopReason === "end_turn" ? "cancelled" : answer.stopReason;
  return { stopReason, tokens: toTokens(answer), costUsd };
}

/** In whole numbers; null where nothing was said of it. */
function toTokens({ usage, _meta }: TurnAnswer): Tokens | null {
  const whole = (count: number) => Math.max(0, Math.trunc(count));
  const known = used.safeParse(usage);
  if (known.success) {
    const { inputTokens, outputTokens, totalTokens } = known.data;
    return { input: whole(inputTokens), output: whole(outputTokens), total: whole(totalTokens) };
  }
  const count = counted.safeParse(_meta);
  if (!count.success) return null;
  const { input_tokens: input, output_tokens: output } = count.data.quota.token_count;
  return { input: whole(input), output: whole(output), total: whole(input) + whole(output) };
}
