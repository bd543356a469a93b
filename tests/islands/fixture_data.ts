/** Sample projects, tasks, sessions and messages for tests of the page: whole by the wire's schemas, short to write. */
import type { Options, User } from "../../lib/wire/account.ts";
import type { Message } from "../../lib/wire/message.ts";
import type { OwnNode } from "../../lib/wire/node.ts";
import type { Project } from "../../lib/wire/project.ts";
import type { Session } from "../../lib/wire/session.ts";
import type { Task } from "../../lib/wire/task.ts";

/** Everything is dated before this moment. */
export const NOW = Date.parse("2030-01-02T12:00:00.000Z");

/** A UUID that ends in `n`. */
export function id(n: number): string {
  return `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
}

/** The moment `minutes` before NOW. */
export function ago(minutes: number): string {
  return new Date(NOW - minutes * 60_000).toISOString();
}

export const ME: User = { id: id(1), login: "ada", displayName: "Ada", role: "admin" };

export const OPTIONS: Options = {
  codingAgents: [{ id: "demo", label: "Demo" }, { id: "claude", label: "Claude Code", credential: "anthropic" }],
  defaultCodingAgent: "demo",
  vmSizes: ["small", "medium", "large"],
  locations: ["here"],
  provider: "local",
  limits: {},
};

export const PROJECT: Project = {
  id: id(2),
  ownerId: ME.id,
  name: "Lighthouse",
  repositoryUrl: "https://example.com/ada/lighthouse.git",
  defaultBranch: "main",
  defaultVmSize: null,
  codingAgent: "demo",
  permissionMode: "autonomous",
  settings: {},
  createdAt: ago(5000),
  updatedAt: ago(5000),
};

/** Task `n` with session `n + 500`. */
export function makeTask(n: number, part: Partial<Task> = {}): Task {
  return {
    id: id(n),
    projectId: PROJECT.id,
    ownerId: ME.id,
    sessionId: id(n + 500),
    title: `Task ${n}`,
    description: `Do thing ${n}`,
    status: "draft",
    priority: 0,
    parentTaskId: null,
    dependsOn: [],
    agentHint: null,
    vmSize: null,
    run: 0,
    executionStep: null,
    timings: {},
    nodeId: null,
    workspaceId: null,
    outputBranch: null,
    outputCommit: null,
    outputPrUrl: null,
    outputSummary: null,
    warning: null,
    errorMessage: null,
    costUsd: null,
    tokens: null,
    createdAt: ago(100),
    startedAt: null,
    completedAt: null,
    updatedAt: ago(100 - n),
    ...part,
  };
}

/** The session of `task`. */
export function makeSession(task: Task, part: Partial<Session> = {}): Session {
  const { id: taskId, title, status, priority } = task;
  return {
    id: task.sessionId,
    projectId: PROJECT.id,
    taskId,
    workspaceId: null,
    topic: title,
    status: "pending",
    turn: "idle",
    pendingPermissions: 0,
    messageCount: 1,
    lastSeq: 1,
    createdAt: task.createdAt,
    updatedAt: task.updatedAt,
    endedAt: null,
    task: { id: taskId, title, status, priority },
    workspace: null,
    ...part,
  };
}

/** Message `seq` of a session; its id follows from both. */
export function makeMessage(seq: number, part: Partial<Message> & { session?: number } = {}): Message {
  const { session = 0, ...rest } = part;
  return {
    seq,
    messageId: id(session * 100_000 + 10_000 + seq),
    run: 1,
    role: seq === 1 ? "user" : "assistant",
    content: `Message ${seq}`,
    toolMetadata: null,
    flags: null,
    createdAt: ago(60),
    receivedAt: ago(60),
    ...rest,
  };
}

export function makeNode(n: number, part: Partial<OwnNode> = {}): OwnNode {
  return {
    id: id(n),
    ownerId: ME.id,
    provider: "local",
    providerRef: null,
    autoProvisioned: true,
    vmSize: "small",
    location: "here",
    agentVersion: "1.0.0",
    codingAgents: ["demo"],
    status: "active",
    draining: false,
    health: "ok",
    claims: [],
    warmSince: null,
    warmUntil: null,
    claimedByTask: null,
    priceHour: null,
    costSoFar: null,
    errorMessage: null,
    deadLettersKept: 0,
    tasks: [],
    heartbeat: { at: ago(0.2), load: 0.42, outboxDepth: 0, deadLetters: 0, dropped: 0, heldLines: 0 },
    createdAt: ago(95),
    ...part,
  };
}
