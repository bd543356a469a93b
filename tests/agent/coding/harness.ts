/** A real coding agent process in a folder of its own, and everything it did. */
import { assert } from "@std/assert";
import { type AcpEvents, type AcpLaunch, AcpSession } from "../../../agent/coding/acp.ts";
import { allow, reject } from "../../../agent/coding/permissions.ts";
import type { Profile } from "../../../agent/coding/profiles.ts";
import type { SessionUpdate } from "../../../agent/coding/updates.ts";
import { allowedEnvironment } from "../../../agent/process/environment.ts";
import { createLogger } from "../../../lib/log.ts";

export const QUIET = createLogger("critical", () => {});
const MAIN = new URL("./demo_main.ts", import.meta.url).pathname;

/** What `config.selfCommand` is in the program, for a checkout without a build. */
export const SELF_COMMAND = [Deno.execPath(), "run", "-A", MAIN];

export function demoProfile(change: Partial<Profile> = {}): Profile {
  const [command, ...args] = SELF_COMMAND;
  assert(command);
  return { id: "demo", label: "Demo", command, args: [...args, "demo"], env: {}, ...change };
}

export function launchOf(cwd: string, change: Partial<AcpLaunch> = {}): AcpLaunch {
  return {
    profile: demoProfile(),
    env: allowedEnvironment(Deno.env.toObject()),
    cwd,
    mark: `${crypto.randomUUID()}/test`,
    limits: { turnStallTimeoutMs: 60_000, toolStallTimeoutMs: 60_000 },
    log: QUIET,
    ...change,
  };
}

export interface Recorded {
  updates: SessionUpdate[];
  /** Called with each update, after it was recorded. */
  onUpdate?: (update: SessionUpdate) => void;
  permissions: string[];
  events: AcpEvents;
}

export function record(mode: "autonomous" | "ask" = "autonomous"): Recorded {
  const recorded: Recorded = {
    updates: [],
    permissions: [],
    events: {
      onUpdate(update) {
        recorded.updates.push(update);
        recorded.onUpdate?.(update);
      },
      onPermission({ call, options }) {
        const decision = mode === "ask" ? reject(options, { by: "policy", refusal: "No." }) : allow(options);
        recorded.permissions.push(`${call.title}: ${decision.recorded.outcome}`);
        return decision.response;
      },
    },
  };
  return recorded;
}

/** All text of one kind that was streamed. */
export function textOf(updates: SessionUpdate[], kind = "agent_message_chunk"): string {
  return updates.map((update) => update.sessionUpdate === kind && "content" in update ? update.content : "").join("");
}

/** A started session of the demo agent in `cwd`. */
export async function openDemo(cwd: string, recorded: Recorded, change: Partial<AcpLaunch> = {}): Promise<AcpSession> {
  const session = await AcpSession.start(launchOf(cwd, change));
  await session.open({ cwd, resume: null, events: recorded.events });
  return session;
}

export const NOTHING = { onAccepted: () => {} };
