/**
 * Every JSON endpoint of the edge: method, path, caller and schemas. The routes parse by it, and the OpenAPI document is
 * generated from it, so that neither can drift from the other.
 */
import { z } from "zod";
import * as account from "./account.ts";
import * as credential from "./credential.ts";
import { pageOf, pageQuery, uuid } from "./common.ts";
import * as deadLetter from "./dead_letter.ts";
import { gitAnswer } from "./git_state.ts";
import { endpoint } from "./endpoint.ts";
import * as message from "./message.ts";
import * as node from "./node.ts";
import * as permission from "./permission_calls.ts";
import { permissionRequest } from "./permission.ts";
import * as project from "./project.ts";
import * as session from "./session.ts";
import * as task from "./task.ts";
import * as workspace from "./workspace.ts";

const P = "/api/projects/:projectId";
const T = `${P}/tasks/:taskId` as const;
const S = `${P}/sessions/:sessionId` as const;
const W = "/api/workspaces/:workspaceId";
const N = "/api/nodes/:nodeId";

export const endpoints = {
  login: endpoint("public", "POST /api/auth/login", {
    summary: "Sign in with an API key; sets the login cookie",
    body: account.loginBody,
    answer: account.me,
  }),
  logout: endpoint("user", "POST /api/auth/logout", { summary: "End this login", status: 204 }),
  me: endpoint("user", "GET /api/me", { summary: "Who is signed in", answer: account.me }),
  stopEverything: endpoint("user", "POST /api/me/stop", {
    summary:
      "Stop everything of yours: cancel your tasks, close what you opened by hand, let your machines go when empty",
    answer: account.stopped,
  }),
  options: endpoint("user", "GET /api/options", {
    summary: "What the forms may offer: coding agents, sizes, locations, limits",
    answer: account.options,
  }),
  listKeys: endpoint("user", "GET /api/keys", {
    summary: "Your API keys, without the keys themselves",
    answer: pageOf(account.apiKey),
  }),
  createKey: endpoint("user", "POST /api/keys", {
    summary: "Make an API key; the answer is the only place that shows it",
    body: account.createApiKey,
    answer: account.createdApiKey,
    status: 201,
    secret: true,
  }),
  deleteKey: endpoint("user", "DELETE /api/keys/:keyId", {
    summary: "Revoke an API key; logins made with it end",
    status: 204,
  }),

  listCredentials: endpoint("user", "GET /api/credentials", {
    summary: "For which providers you stored a credential, and when",
    answer: pageOf(credential.credential),
  }),
  putCredential: endpoint("user", "PUT /api/credentials/:provider", {
    summary: "Store your secret for a provider, sealed; no answer ever holds it",
    body: credential.putCredential,
    answer: credential.credential,
  }),
  deleteCredential: endpoint("user", "DELETE /api/credentials/:provider", {
    summary: "Remove your secret for a provider; refused while servers live under it",
    status: 204,
  }),
  checkCredential: endpoint("user", "POST /api/credentials/:provider/check", {
    summary: "Ask the provider whether your stored secret is accepted",
    answer: credential.credentialCheck,
  }),

  listProjects: endpoint("user", "GET /api/projects", {
    summary: "Projects that you own or are a member of, newest first",
    query: pageQuery,
    answer: pageOf(project.project),
  }),
  createProject: endpoint("user", "POST /api/projects", {
    summary: "Create a project",
    body: project.createProject,
    answer: project.project,
    status: 201,
    idempotent: true,
  }),
  readProject: endpoint("user", `GET ${P}`, { summary: "One project", answer: project.project }),
  patchProject: endpoint("user", `PATCH ${P}`, {
    summary: "Change a project's settings",
    body: project.patchProject,
    answer: project.project,
  }),
  deleteProject: endpoint("user", `DELETE ${P}`, {
    summary: "Delete a project with its tasks and conversations; refused while a task is live",
    status: 204,
  }),
  listMembers: endpoint("user", `GET ${P}/members`, { summary: "Owner and members", answer: pageOf(project.member) }),
  addMember: endpoint("user", `POST ${P}/members`, {
    summary: "Add a member by login name (owner)",
    body: project.addMember,
    answer: project.member,
    status: 201,
  }),
  removeMember: endpoint("user", `DELETE ${P}/members/:userId`, { summary: "Remove a member (owner)", status: 204 }),

  listTasks: endpoint("user", `GET ${P}/tasks`, {
    summary: "Tasks of a project; descriptions are cut to 300 characters",
    query: task.taskListQuery,
    answer: pageOf(task.task),
  }),
  createTask: endpoint("user", `POST ${P}/tasks`, {
    summary: "Save a task to the backlog as a draft",
    body: task.createTask,
    answer: task.task,
    status: 201,
    idempotent: true,
  }),
  submitTask: endpoint("user", `POST ${P}/tasks/submit`, {
    summary: "Run Now: create a task and queue it, in one step",
    body: task.createTask,
    answer: task.submittedTask,
    status: 202,
    idempotent: true,
  }),
  readTask: endpoint("user", `GET ${T}`, { summary: "One task, with its whole description", answer: task.task }),
  patchTask: endpoint("user", `PATCH ${T}`, {
    summary: "Edit a task that is not live",
    body: task.patchTask,
    answer: task.task,
  }),
  deleteTask: endpoint("user", `DELETE ${T}`, { summary: "Delete a task that is not live", status: 204 }),
  runTask: endpoint("user", `POST ${T}/run`, {
    summary: "Start a draft, ready, failed or cancelled task",
    body: task.runTask,
    answer: task.task,
    status: 202,
  }),
  continueTask: endpoint("user", `POST ${T}/continue`, {
    summary:
      "Go on from a completed task: a new one, queued, that starts from its branch with its conversation at hand",
    body: task.continueTask,
    answer: task.submittedTask,
    status: 202,
    idempotent: true,
  }),
  cancelTask: endpoint("user", `POST ${T}/cancel`, {
    summary: "Cancel a task; its workspace is kept for a while. 200 when it had ended already",
    answer: task.task,
    status: 202,
  }),
  setTaskStatus: endpoint("user", `POST ${T}/status`, {
    summary: "Move a task by hand: draft to ready, draft or ready to cancelled, failed or cancelled to ready",
    body: task.setTaskStatus,
    answer: task.task,
  }),
  listTaskEvents: endpoint("user", `GET ${T}/events`, { summary: "The audit trail", answer: pageOf(task.taskEvent) }),
  addDependency: endpoint("user", `POST ${T}/dependencies`, {
    summary: "Let the task wait for another one",
    body: task.dependencyBody,
    answer: task.task,
  }),
  removeDependency: endpoint("user", `DELETE ${T}/dependencies`, {
    summary: "Let the task wait no longer for another one",
    body: task.dependencyBody,
    answer: task.task,
  }),
  keepWorkspace: endpoint("user", `POST ${T}/workspace/keep`, {
    summary: "Keep a kept workspace longer",
    body: task.keepBody,
    answer: workspace.workspace,
  }),
  discardWorkspace: endpoint("user", `POST ${T}/workspace/discard`, {
    summary: "Remove a kept workspace now",
    answer: workspace.workspace,
  }),
  taskCallback: endpoint("taskWorkspace", `POST ${T}/status/callback`, {
    summary: "The agent reports how a run goes or ended",
    body: task.taskCallback,
    answer: task.taskCallbackAnswer,
  }),

  listSessions: endpoint("user", `GET ${P}/sessions`, {
    summary: "Chat sessions, newest activity first",
    query: session.sessionListQuery,
    answer: pageOf(session.session),
  }),
  readSession: endpoint("user", `GET ${S}`, { summary: "One session", answer: session.session }),
  listMessages: endpoint("user", `GET ${S}/messages`, {
    summary: "Messages by seq, the newest page by default; long content is cut",
    query: message.messagePageQuery,
    answer: message.messagePage,
  }),
  readMessage: endpoint("user", `GET ${S}/messages/:seq`, {
    summary: "One message with its whole content",
    answer: message.message,
  }),
  exportSession: endpoint("user", `GET ${S}/export`, {
    summary: "The whole conversation as a file: JSON lines or Markdown, streamed",
    query: message.exportQuery,
    answer: z.string(),
    types: ["application/jsonl", "text/markdown"],
  }),
  listPrompts: endpoint("user", `GET ${S}/prompts`, {
    summary: "Follow-up prompts, oldest first",
    answer: pageOf(session.prompt),
  }),
  createPrompt: endpoint("user", `POST ${S}/prompts`, {
    summary: "Ask the agent something more; waits its turn. The same messageId again has no effect",
    body: session.createPrompt,
    answer: session.prompt,
    status: 202,
  }),
  patchPrompt: endpoint("user", `PATCH ${S}/prompts/:messageId`, {
    summary: "Change a prompt that still waits",
    body: session.patchPrompt,
    answer: session.prompt,
  }),
  deletePrompt: endpoint("user", `DELETE ${S}/prompts/:messageId`, {
    summary: "Take a prompt that still waits out of the line",
    status: 204,
  }),
  steerPrompt: endpoint("user", `POST ${S}/prompts/:messageId/steer`, {
    summary: "Send a prompt that still waits into the turn that runs, where the coding agent offers it",
    answer: session.prompt,
    status: 202,
  }),
  listPermissions: endpoint("user", `GET ${S}/permissions`, {
    summary: "What the coding agent asked permission for, newest first",
    query: permission.permissionListQuery,
    answer: pageOf(permissionRequest),
  }),
  answerPermission: endpoint("user", `POST ${S}/permissions/:requestId`, {
    summary: "Choose one of the options of a request that waits; the first answer counts",
    body: permission.answerPermission,
    answer: permissionRequest,
  }),
  interrupt: endpoint("user", `POST ${S}/interrupt`, {
    summary: "Interrupt the turn that runs",
    answer: z.object({ interrupted: z.boolean() }),
    status: 202,
  }),
  stopSession: endpoint("user", `POST ${S}/stop`, {
    summary: "End the session: cancels its task, or stops its workspace",
    answer: session.session,
    status: 202,
  }),

  createWorkspace: endpoint("user", "POST /api/workspaces", {
    summary: "Open a workspace by hand, without a task; with a project it gets a chat session",
    body: workspace.createWorkspace,
    answer: workspace.workspace,
    status: 201,
    idempotent: true,
  }),
  readWorkspace: endpoint("user", `GET ${W}`, { summary: "One workspace", answer: workspace.workspace }),
  readGit: endpoint("user", `GET ${W}/git`, {
    summary: "What git says of the checkout now, and everything that differs from where the run began",
    answer: gitAnswer,
  }),
  deleteWorkspace: endpoint("user", `DELETE ${W}`, {
    summary: "Stop a workspace and remove its files; refused while its task is live",
    answer: workspace.workspace,
    status: 202,
  }),
  postMessages: endpoint("workspace", `POST ${W}/messages`, {
    summary: "Deliver a batch of messages; known ids are skipped",
    body: message.messageBatch,
    answer: message.batchAnswer,
  }),
  runtime: endpoint("workspace", `GET ${W}/runtime`, {
    summary: "What the agent must know to run the workspace",
    answer: workspace.runtime,
    secret: true,
  }),
  reportWorkspace: endpoint("workspace", `POST ${W}/status`, {
    summary: "The agent reports the workspace's state",
    body: workspace.workspaceReport,
  }),
  reportTurn: endpoint("workspace", `POST ${W}/turns`, {
    summary: "The agent reports a turn and is told what comes next",
    body: workspace.turnReport,
    answer: workspace.turnAnswer,
  }),
  requestPermission: endpoint("workspace", `POST ${W}/permissions`, {
    summary: "The coding agent asks before it acts; the same requestId again has no effect",
    body: permission.requestPermission,
    answer: permissionRequest,
  }),
  closePermission: endpoint("workspace", `POST ${W}/permissions/:requestId/close`, {
    summary: "Nobody waits for the answer any more; without effect once there is one",
    body: permission.closePermission,
    answer: permissionRequest,
  }),

  createNode: endpoint("user", "POST /api/nodes", {
    summary: "Add a machine of your own; the answer holds the command, with its one-time token, that makes it a node",
    body: node.createNode,
    answer: node.createdNode,
    status: 201,
    secret: true,
  }),
  listNodes: endpoint("user", "GET /api/nodes", { summary: "Your nodes, newest first", answer: node.nodePage }),
  readNode: endpoint("user", `GET ${N}`, { summary: "One node", answer: node.node }),
  deleteNode: endpoint("user", `DELETE ${N}`, {
    summary: "Destroy a node; with claims only with force=true, which fails its tasks first",
    query: z.object({ force: z.enum(["true", "false"]).optional() }),
    answer: node.node,
    status: 202,
  }),
  drainNode: endpoint("user", `POST ${N}/drain`, {
    summary: "Give the node no new work, and destroy it when it is empty",
    answer: node.node,
    status: 202,
  }),
  registerNode: endpoint("public", "POST /api/nodes/register", {
    summary: "An agent registers with its one-time token",
    body: node.registerNode,
    answer: node.registerAnswer,
    secret: true,
  }),
  renewTokens: endpoint("public", `POST ${N}/token`, {
    summary: "An agent renews its tokens with its node secret",
    body: node.nodeTokenBody,
    answer: node.nodeTokens,
    secret: true,
  }),
  heartbeat: endpoint("node", `POST ${N}/heartbeat`, {
    summary: "An agent is alive; the answer says what is wanted on its machine",
    body: node.heartbeat,
    answer: node.heartbeatAnswer,
    secret: true,
  }),

  postDeadLetters: endpoint("node", `POST ${N}/dead-letters`, {
    summary: "A node hands over what it could not deliver, before its machine goes; known ids are skipped",
    body: deadLetter.deadLetterBatch,
    answer: deadLetter.deadLetterAnswer,
  }),
  listDeadLetters: endpoint("user", `GET ${N}/dead-letters`, {
    summary:
      "What a node of yours could not deliver and handed over, of one session if asked; kept for 30 days, long content is cut",
    query: deadLetter.deadLetterQuery,
    answer: pageOf(deadLetter.keptDeadLetter),
  }),
  readDeadLetter: endpoint("user", `GET ${N}/dead-letters/:messageId`, {
    summary: "One dead letter with its whole content",
    answer: deadLetter.keptDeadLetter,
  }),

  runSweep: endpoint("user", "POST /api/admin/sweep", {
    summary:
      "Compare what is wanted with what is, now (admins); answers how much each step mended, null where it failed",
    answer: z.object({ steps: z.record(z.string(), z.int().nullable()) }),
  }),

  live: endpoint("public", "GET /api/health/live", {
    summary: "The process runs",
    answer: z.object({ status: z.literal("ok") }),
  }),
  ready: endpoint("public", "GET /api/health/ready", {
    summary: "The store can be read and written; 503 otherwise",
    answer: z.object({ status: z.enum(["ready", "not_ready"]) }),
  }),
  version: endpoint("public", "GET /api/version", {
    summary: "The edge's version and protocol",
    answer: z.object({ version: z.string(), protocol: z.int(), protocolMin: z.int() }),
  }),
} as const;

/** The path parameters and their schemas, by name. */
export const pathParameters: Record<string, z.ZodType<string>> = {
  projectId: uuid,
  taskId: uuid,
  sessionId: uuid,
  workspaceId: uuid,
  nodeId: uuid,
  keyId: uuid,
  provider: credential.credentialProvider,
  userId: uuid,
  messageId: uuid,
  requestId: uuid,
  seq: z.string().regex(/^[1-9]\d{0,8}$/, "must be a message's number"),
};
