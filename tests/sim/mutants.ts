/**
 * Bugs on purpose: each is a change of one source file, in a copy of the tree on which the simulation runs. Some were
 * real once. One that the simulation does not find would show that it does not look there.
 */

export interface Mutant {
  bug: string;
  file: string;
  /** Text that stands in the file exactly once, and what stands there instead. */
  edits: [find: string, replace: string][];
}

export const MUTANTS: Mutant[] = [
  {
    bug: "a claim is written without a check on the node's record",
    file: "lib/store/nodes.ts",
    edits: [[
      "  tx.put(entry, record);\n  if (!entry.value) tx.set(nodeByOwnerKey",
      "  tx.set(entry.key, record);\n  if (!entry.value) tx.set(nodeByOwnerKey",
    ]],
  },
  {
    bug: "a claim does not ask whether the node still takes work",
    file: "lib/nodes/claims.ts",
    edits: [['return ["active", "warm"].includes(node.status) && !node.draining &&', "return !node.draining &&"]],
  },
  {
    bug: "the expiry of a warm node ignores a newer claim",
    file: "lib/nodes/lifecycle.ts",
    edits: [[
      'if (entry.value?.status !== "warm" || entry.value.claims.length > 0) return false;',
      "if (!entry.value) return false;",
    ]],
  },
  {
    bug: "a node becomes warm although something is on it",
    file: "lib/nodes/claims.ts",
    edits: [["if (node.claims.length > 0 || ![", "if (node.claims.length > 1 || !["]],
  },
  {
    bug: "a node is recorded as destroyed before the provider confirmed it",
    file: "lib/nodes/destroy.ts",
    edits: [["    return await postpone(edge, nodeId, { afterMs, failed: true });\n", ""]],
  },
  {
    bug: "a node on its way out is not fenced",
    file: "lib/nodes/claims.ts",
    edits: [["    generation: node.generation + 1,\n", ""]],
  },
  {
    bug: "a sweep stops at the first thing that fails",
    file: "lib/scheduler/mend_each.ts",
    edits: [["      edge.log.error(", "      throw error;\n      edge.log.error("]],
  },
  {
    bug: "a step of a sweep that fails stops the others",
    file: "lib/scheduler/sweep.ts",
    edits: [["    return null;\n  } finally", "    throw error;\n  } finally"]],
  },
  {
    bug: "the end of a run forgets the claim",
    file: "lib/tasks/finish.ts",
    edits: [["      await endClaimOf(tx, edge, { nodeId: task.nodeId, token: task.claimToken, abandon });\n", ""]],
  },
  {
    bug: "the end of a run forgets the session",
    file: "lib/tasks/finish.ts",
    edits: [['    await endSession(tx, session, { failed: outcome.to === "failed", turn: outcome.turn });\n', ""]],
  },
  {
    bug: "a repeated callback ends the run and cleans up once more",
    file: "lib/tasks/finish.ts",
    edits: [
      ['    if (task.status === outcome.to) return { kind: "unchanged" as const, task };\n', ""],
      [
        "  if (isTerminal(task.status)) return false;\n  return canTransition(task.status, outcome.to);",
        "  return true;",
      ],
      [
        "[transition(task, outcome.to, { actor: outcome.actor, reason })]",
        "[{ from: task.status, to: outcome.to, actor: outcome.actor, reason }]",
      ],
      ["    if (!isLive(task)) return", "    if (false) return"],
    ],
  },
  {
    bug: "the end of a run leaves its deadline",
    file: "lib/tasks/finish.ts",
    edits: [[
      'const dues = tx.schedule(advanced, { kind: "task.deadline", id: `${task.projectId}/${task.id}`, at: null });',
      "const dues = advanced;",
    ]],
  },
  {
    bug: "a workspace that is gone keeps its claim",
    file: "lib/tasks/release.ts",
    edits: [["    await endClaimOf(tx, edge, { nodeId: workspace.nodeId, token: workspace.claimToken });\n", ""]],
  },
  {
    bug: "a run is handed over without its command",
    file: "lib/tasks/delegate.ts",
    edits: [[
      '    await addCommands(tx, node.value!.id, [{ kind: "workspace.start", workspaceId, run: current.run }]);\n',
      "",
    ]],
  },
  {
    bug: "a run is handed over although it was cancelled meanwhile",
    file: "lib/tasks/delegate.ts",
    edits: [[
      'if (current?.status !== "queued" || current.run !== task.run || current.nodeId !== task.nodeId) return "wait";',
      'if (!current) return "wait";',
    ], ['[transition(current, "delegated", { actor: "system" })]', "[]"]],
  },
  {
    bug: "a new time leaves the old due key",
    file: "lib/store/change.ts",
    edits: [["    if (old) this.delete(dueKey(old.at, due.kind, due.id));\n", ""]],
  },
  {
    bug: "a worker that takes an item removes it, and dies",
    file: "lib/store/due.ts",
    edits: [[".delete(item.key).set(key, entry.value).commit()", ".delete(item.key).commit()"]],
  },
  {
    bug: "an item is taken under the token that it had at the look",
    file: "lib/store/due.ts",
    edits: [["token: entry.value.token, key, versionstamp", "key, versionstamp"]],
  },
  {
    bug: "a batch's ids are looked up before the session is read",
    file: "lib/chat/append.ts",
    edits: [
      [
        "  return await change(edge.store, async (tx) => {\n    const entry = await tx.get<SessionRecord>(sessionKey(projectId, sessionId));\n    if (entry.value === null) throw sessionNotFound();\n    const known = await findKnown(tx, sessionId, messages.map((message) => message.messageId));\n",
        "  return await change(edge.store, async (tx) => {\n    const known = await findKnown(tx, sessionId, messages.map((message) => message.messageId));\n    const entry = await tx.get<SessionRecord>(sessionKey(projectId, sessionId));\n    if (entry.value === null) throw sessionNotFound();\n",
      ],
    ],
  },
  {
    bug: "a session is written without a check",
    file: "lib/store/sessions.ts",
    edits: [["  tx.put(entry, record);\n", "  tx.set(entry.key, record);\n"]],
  },
  {
    bug: "the end of a session leaves its waiting prompts",
    file: "lib/tasks/end_session.ts",
    edits: [['  await closePrompts(tx, entry.value, how.failed ? "failed" : "cancelled");\n', ""]],
  },
  {
    bug: "a deadline ends a run that moved on",
    file: "lib/tasks/overdue.ts",
    edits: [[
      "    isDue(now) && now.executionStep === step && !hasPromptUnderWay(now, session);",
      "    now !== null && session !== undefined;",
    ]],
  },
  {
    bug: "an owner's nodes are counted without a check",
    file: "lib/store/nodes.ts",
    edits: [["  tx.put(entry, { v: 1, nodeIds });", "  tx.set(entry.key, { v: 1, nodeIds });"]],
  },
  {
    bug: "servers without a record are left alone",
    file: "lib/tasks/reconcile.ts",
    edits: [["  await provider.destroy(ref, access);\n", "  if (ref) return false;\n"]],
  },
];
