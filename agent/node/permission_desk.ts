/**
 * Where a coding agent's requests for permission are decided: by the project's rules, else by a person. A request is
 * durable before its answer is waited for; the answer comes as a command, from whichever device was first. One that
 * nobody waits for any more is closed at the edge, and one that a crash cut is closed there with its turn.
 */
import { cutText } from "../../lib/bytes.ts";
import { newId } from "../../lib/ids.ts";
import { spanOf } from "../../lib/span.ts";
import { PERMISSION_OPTIONS_MAX, PERMISSION_TITLE_MAX } from "../../lib/wire/limits.ts";
import type { ToolMetadata } from "../../lib/wire/message.ts";
import type { RequestPermission } from "../../lib/wire/permission_calls.ts";
import type { PermissionPolicy } from "../../lib/wire/project.ts";
import type { AskedPermission } from "../coding/acp.ts";
import { followPaths, namedPaths } from "../coding/named_paths.ts";
import {
  allow,
  answered,
  cancelled,
  type Decision,
  isAllowed,
  type PermissionMode,
  reject,
} from "../coding/permissions.ts";
import { type ToolCall, toToolMessage } from "../coding/tool_call.ts";
import { cutToJsonBytes, jsonBytes } from "../store/fit.ts";
import type { Tell } from "./tell.ts";

/** The edge ends a request in time; this much later the node does, should it not be heard of. */
const GRACE_MS = 60_000;
const TIMER_MAX_MS = 2 ** 31 - 1;
/** Of a request, so that it fits one record with its options. */
const METADATA_MAX_BYTES = 3 * 1024;
const NOBODY = "Refused, because there is nobody here who could be asked.";

export interface PermissionRules {
  mode: PermissionMode;
  policy: PermissionPolicy;
  timeoutMs: number;
}

/** What became of a request: told by the edge, or decided here because the answer is not waited for any more. */
export interface Answer {
  outcome: "answered" | "expired" | "cancelled" | "refused";
  optionId: string | null;
  by: string | null;
}

type Settle = (answer: Answer & { isOurs?: true }) => void;

interface Asking {
  rules: PermissionRules;
  /** The call as far as it is known, and the checkout it works in. */
  call: ToolCall;
  cwd: string;
  /** Called when a person is asked, before the answer. */
  onAsked: () => void;
}

export class PermissionDesk {
  readonly #tell: Tell;
  readonly #waiting = new Map<string, Settle>();

  constructor(tell: Tell) {
    this.#tell = tell;
  }

  /** Decides what the coding agent may do. */
  async decide({ options, signal }: AskedPermission, asking: Asking): Promise<Decision> {
    const { call, cwd, rules } = asking;
    const paths = await followPaths(namedPaths(call), cwd);
    const [root] = await followPaths([cwd], cwd);
    if (root && isAllowed(rules.mode, rules.policy, { kind: call.kind, paths, root })) return allow(options);
    asking.onAsked();
    const offered = options.slice(0, PERMISSION_OPTIONS_MAX).map((each) => ({
      ...each,
      name: cutText(each.name, 200),
    }));
    const request = { ...describe(call, cwd), options: offered };
    const answer = await this.#ask(request, { timeoutMs: rules.timeoutMs, signal });
    switch (answer.outcome) {
      case "answered":
        return answered(options, { optionId: answer.optionId ?? "", by: answer.by ?? "somebody" });
      case "expired":
        return reject(options, {
          by: "timeout",
          refusal: `Refused: nobody answered within ${spanOf(rules.timeoutMs)}.`,
        });
      case "refused":
        return reject(options, { by: "policy", refusal: NOBODY });
      case "cancelled":
        return cancelled(null);
    }
  }

  /** The edge's word on a request. One that is not waited for is passed over. */
  respond(requestId: string, answer: Answer): void {
    this.#waiting.get(requestId)?.(answer);
  }

  async #ask(
    request: Pick<RequestPermission, "toolCallId" | "title" | "toolMetadata" | "options">,
    { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
  ): Promise<Answer> {
    const requestId = newId();
    const { promise, resolve } = Promise.withResolvers<Answer & { isOurs?: true }>();
    const endHere = (outcome: "expired" | "cancelled") => resolve({ outcome, optionId: null, by: null, isOurs: true });
    const onAbort = () => endHere("cancelled");
    const timer = setTimeout(() => endHere("expired"), Math.min(timeoutMs + GRACE_MS, TIMER_MAX_MS));
    this.#waiting.set(requestId, resolve);
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    try {
      await this.#tell.permission({ requestId, ...request });
      const answer = await promise;
      if (answer.isOurs && answer.outcome !== "answered" && answer.outcome !== "refused") {
        await this.#tell.permissionClosed(requestId, answer.outcome);
      }
      return answer;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(requestId);
    }
  }
}

function describe(call: ToolCall, cwd: string): Pick<RequestPermission, "toolCallId" | "title" | "toolMetadata"> {
  const { toolMetadata } = toToolMessage(call, { now: Date.now(), cwd, withDiff: true });
  const title = cutText((call.title ?? call.name ?? call.kind ?? "").trim() || "Use a tool", PERMISSION_TITLE_MAX);
  return { toolCallId: toolMetadata.toolCallId, title, toolMetadata: fit(toolMetadata) };
}

/** The changes are cut first, then the input goes. */
function fit(metadata: ToolMetadata): ToolMetadata {
  const { diff, ...rest } = metadata;
  const { input: _, ...bare } = rest;
  const kept = jsonBytes(rest) <= METADATA_MAX_BYTES ? rest : { ...bare, target: cutText(bare.target ?? "", 500) };
  return diff ? { ...kept, diff: cutToJsonBytes(diff, METADATA_MAX_BYTES) } : kept;
}
