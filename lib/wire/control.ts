/**
 * Frames of the control link: a WebSocket that the agent dials out, with stored commands in one direction and
 * acknowledgements and live text in the other. Every schema is used at both ends.
 */
import { z } from "zod";
import { count, uuid } from "./common.ts";
import { messageRole, toolMetadata } from "./message.ts";

export const helloFrame = z.object({
  type: z.literal("hello"),
  protocol: z.int(),
  agentVersion: z.string().max(100),
  instanceId: z.string().max(100),
  /** From the agent: the last command it has stored. From the edge: the last command that exists. */
  lastSeq: count,
});

const base = { type: z.literal("command"), commandId: uuid, seq: z.int().min(1) };

export const commandFrame = z.discriminatedUnion("kind", [
  /** `again`: a step of a workspace that is there hangs; one that is not there is not begun by it. */
  z.object({
    ...base,
    kind: z.literal("workspace.start"),
    workspaceId: uuid,
    run: z.int().nullable(),
    again: z.literal(true).optional(),
  }),
  /** `keep`: end the processes, leave the files for inspection. */
  z.object({
    ...base,
    kind: z.literal("workspace.stop"),
    workspaceId: uuid,
    run: z.int().nullable(),
    keep: z.boolean(),
  }),
  z.object({ ...base, kind: z.literal("prompt.send"), workspaceId: uuid, messageId: uuid, text: z.string() }),
  /** Interrupts the turn; `messageId` names the prompt meant, so that a late command never hits the next one. */
  z.object({ ...base, kind: z.literal("prompt.cancel"), workspaceId: uuid, messageId: uuid }),
  /** Adds the prompt to the turn under way; `into` names that turn's prompt, so that a late command adds to no other. */
  z.object({
    ...base,
    kind: z.literal("prompt.steer"),
    workspaceId: uuid,
    messageId: uuid,
    into: uuid,
    text: z.string(),
  }),
  /** A reader waits for the agent at `…/relay/:relayId`: for a terminal of the workspace, or the state of its git. */
  z.object({ ...base, kind: z.literal("relay.open"), workspaceId: uuid, relayId: uuid }),
  /** What became of a permission request: the option that was chosen and by whom, or that it is over without one. */
  z.object({
    ...base,
    kind: z.literal("permission.respond"),
    workspaceId: uuid,
    requestId: uuid,
    outcome: z.enum(["answered", "expired", "cancelled"]),
    optionId: z.string().nullable(),
    by: z.string().nullable(),
  }),
  z.object({ ...base, kind: z.literal("node.drain") }),
  /** A command whose object is gone or that a newer edge made: acknowledged and ignored. */
  z.object({ ...base, kind: z.literal("noop") }),
]);
export type CommandFrame = z.infer<typeof commandFrame>;

export const ackFrame = z.object({ type: z.literal("ack"), seq: count });

/** The open message of a session while it grows. `text` belongs at UTF-16 offset `at`; 0 replaces everything. */
export const liveFrame = z.object({
  type: z.literal("live"),
  workspaceId: uuid,
  messageId: uuid,
  role: messageRole,
  rev: count,
  at: count,
  text: z.string(),
  toolMetadata: toolMetadata.nullable().optional(),
});
export type LiveFrame = z.infer<typeof liveFrame>;

/** Edge to agent: somebody started to follow this workspace's session; send the open message whole. */
export const refreshFrame = z.object({ type: z.literal("refresh"), workspaceId: uuid });
export const upgradeFrame = z.object({ type: z.literal("upgrade_required"), message: z.string() });

export const toAgentFrame = z.union([helloFrame, commandFrame, refreshFrame, upgradeFrame]);
export type ToAgentFrame = z.infer<typeof toAgentFrame>;
export const toEdgeFrame = z.discriminatedUnion("type", [helloFrame, ackFrame, liveFrame]);
export type ToEdgeFrame = z.infer<typeof toEdgeFrame>;
