/**
 * An agent on a simulated machine. What it keeps on its disk survives its death, what it reports is repeated until it is
 * answered, and what it decides is decided by the real agent's own pure functions.
 */
import { AppError, notFound } from "../../lib/errors.ts";
import { refuseFenced } from "../../lib/auth/callers.ts";
import { verifyNodeToken } from "../../lib/auth/tokens.ts";
import { appendBatch } from "../../lib/chat/append.ts";
import type { Edge } from "../../lib/edge.ts";
import { newId } from "../../lib/ids.ts";
import { registerNode, renewTokens } from "../../lib/nodes/enrol.ts";
import { acknowledge, type CommandRecord, listCommands } from "../../lib/store/commands.ts";
import { readNode } from "../../lib/store/nodes.ts";
import { readPrompt } from "../../lib/store/prompts.ts";
import { readWorkspace, type WorkspaceRecord } from "../../lib/store/workspaces.ts";
import { beat } from "../../lib/tasks/beat.ts";
import { reportTask } from "../../lib/tasks/callback.ts";
import { reportWorkspace } from "../../lib/tasks/report.ts";
import { readRuntime } from "../../lib/tasks/runtime.ts";
import { reportTurn } from "../../lib/tasks/turn.ts";
import type { TaskCallback } from "../../lib/wire/task.ts";
import type { Heartbeat } from "../../lib/wire/node.ts";
import type { Runtime, TurnAnswer, TurnReport, WorkspaceReport } from "../../lib/wire/workspace.ts";

/** What the agent wants to tell the edge, durable until it is answered. */
export type Report =
  | { kind: "status"; body: WorkspaceReport }
  | { kind: "turn"; body: TurnReport }
  | { kind: "task"; taskId: string; body: TaskCallback };

export interface Identity {
  nodeSecret: string;
  generation: number;
}

/** A command with what its frame carries. */
export type Command = CommandRecord & { text?: string | null };

export interface Bootstrap {
  nodeId: string;
  bootstrapToken: string;
  nonce: string;
}

/** Registers as the real agent does; again with the same nonce it gets the same answer. */
export async function register(edge: Edge, from: Bootstrap): Promise<Identity> {
  const { nodeSecret, callbackToken } = await registerNode(edge, {
    ...from,
    agentVersion: "1.0.0",
    protocol: 1,
    capabilities: { codingAgents: ["demo"] },
  });
  return { nodeSecret, generation: (await verifyNodeToken(edge.keyring, callbackToken, edge.clock())).generation };
}

/** New tokens for a machine of a person's own that was given up and is still there. */
export async function enrolAgain(edge: Edge, nodeId: string, nodeSecret: string): Promise<Identity> {
  const { callbackToken } = await renewTokens(edge, nodeId, { nodeSecret, workspaceIds: [] });
  return { nodeSecret, generation: (await verifyNodeToken(edge.keyring, callbackToken, edge.clock())).generation };
}

export async function heartbeat(edge: Edge, from: { nodeId: string; generation: number }, body: Heartbeat) {
  const node = await readNode(edge.store, from.nodeId);
  if (!node) throw notFound("node");
  return await beat(edge, node, { claims: { node: from.nodeId, generation: from.generation }, body });
}

/** The commands after `lastSeq`, as the control link brings them. */
export async function pullCommands(
  edge: Edge,
  from: { nodeId: string; generation: number },
  lastSeq: number,
): Promise<Command[]> {
  await refuseFenced(edge, { node: from.nodeId, generation: from.generation });
  const commands: Command[] = [];
  for (const row of await listCommands(edge.store, from.nodeId, lastSeq)) {
    if (row.kind !== "prompt.send") commands.push(row);
    else {
      const prompt = await readPrompt(edge.store, row.sessionId, row.messageId);
      const isWanted = prompt && ["sent", "running"].includes(prompt.state);
      commands.push({ ...row, text: isWanted ? prompt.text : null });
    }
  }
  return commands;
}

export async function ackCommands(edge: Edge, nodeId: string, seq: number): Promise<void> {
  await acknowledge(edge.store, nodeId, seq);
}

/** The runtime as the agent asks for it; null: the workspace is not wanted any more. */
export async function fetchRuntime(edge: Edge, nodeId: string, workspaceId: string): Promise<Runtime | null> {
  try {
    const workspace = await requireOwn(edge, nodeId, workspaceId);
    await refuseGivenUp(edge, workspace);
    return await readRuntime(edge, workspace);
  } catch (error) {
    if (error instanceof AppError && ["not_found", "node_fenced"].includes(error.code)) return null;
    throw error;
  }
}

/** Sends one report as its route takes it. Returns the answer to a turn, and null otherwise. */
export async function sendReport(
  edge: Edge,
  nodeId: string,
  told: { workspaceId: string; report: Report },
): Promise<TurnAnswer | null> {
  const workspace = await requireOwn(edge, nodeId, told.workspaceId);
  await refuseGivenUp(edge, workspace);
  const { report } = told;
  if (report.kind === "turn") return await reportTurn(edge, workspace, report.body);
  if (report.kind === "status") await reportWorkspace(edge, workspace, report.body);
  else await reportTask(edge, workspace, { taskId: report.taskId, body: report.body });
  return null;
}

/** A batch of messages; an agent that was given up may still deliver. */
export async function sendMessages(
  edge: Edge,
  nodeId: string,
  batch: { workspaceId: string; sessionId: string; messageIds: string[] },
): Promise<void> {
  const workspace = await requireOwn(edge, nodeId, batch.workspaceId);
  const timestamp = new Date(edge.clock()).toISOString();
  await appendBatch(
    edge,
    workspace,
    batch.messageIds.map((messageId) => ({
      messageId,
      sessionId: batch.sessionId,
      role: "assistant",
      content: "something",
      timestamp,
    })),
  );
}

export function newNonce(): string {
  return newId() + newId();
}

async function requireOwn(edge: Edge, nodeId: string, workspaceId: string): Promise<WorkspaceRecord> {
  const workspace = await readWorkspace(edge.store, workspaceId);
  if (!workspace || workspace.nodeId !== nodeId) throw notFound("workspace");
  return workspace;
}

async function refuseGivenUp(edge: Edge, workspace: WorkspaceRecord): Promise<void> {
  await refuseFenced(edge, { node: workspace.nodeId, generation: workspace.generation });
}
