/** Index entries, tallies and due keys stand for what is in the records, no more and no less. */
import type { Dues } from "../../../lib/store/change.ts";
import { isLive } from "../../../lib/store/tasks.ts";
import type { Mirror } from "../mirror.ts";
import type { Finding, View } from "./view.ts";

export function* checkIndexes(view: View): Generator<Finding> {
  const { mirror, tasks, sessions, workspaces, nodes } = view;
  const wanted: Record<string, Deno.KvKey[]> = {
    taskByStatus: tasks.map((task) => [task.projectId, task.status, task.priority, task.id]),
    taskByPriority: tasks.map((task) => [task.projectId, task.priority, task.id]),
    taskByUpdate: tasks.map((task) => [task.projectId, task.updatedAt, task.id]),
    taskLive: tasks.filter(isLive).map((task) => [task.projectId, task.id]),
    sessionByActivity: sessions.map((session) => [session.projectId, session.activeAt, session.id]),
    workspaceByProject: workspaces.filter(({ projectId }) => projectId).map((each) => [each.projectId!, each.id]),
    workspaceLive: workspaces.filter(({ status }) => status !== "stopped").map(({ id }) => [id]),
    nodeByOwner: nodes.map((node) => [node.ownerId, node.id]),
    nodeLive: nodes.filter(({ status }) => status !== "destroyed").map(({ id }) => [id]),
  };
  for (const [family, keys] of Object.entries(wanted)) yield* compare(mirror, family, keys);
  yield* checkTallies(view);
  yield* checkEdges(view);
  yield* checkFleets(view);
}

function* compare(mirror: Mirror, family: string, keys: Deno.KvKey[]): Generator<Finding> {
  for (const key of keys) if (!mirror.has([family, ...key])) yield `${family} has no entry for ${key.join("/")}`;
  const entries = mirror.keys(family);
  if (entries.length > keys.length) {
    const known = new Set(keys.map((key) => key.join("/")));
    const extra = entries.find((key) => !known.has(key.slice(1).join("/")));
    yield `${family} has an entry too many: ${extra?.join("/")}`;
  }
}

function* checkTallies({ mirror, tasks }: View): Generator<Finding> {
  for (const key of mirror.keys("tally")) {
    const isProject = mirror.has(["project", key[1]!]);
    const projects = mirror.values<{ ownerId: string }>("project").filter(({ ownerId }) => ownerId === key[1]);
    const count = isProject ? tasks.filter(({ projectId }) => projectId === key[1]).length : projects.length;
    const told = mirror.get<{ count: number }>(key)!.count;
    if (told !== count) yield `the tally of ${String(key[1])} says ${told}, there are ${count}`;
  }
}

function* checkEdges({ mirror, tasks }: View): Generator<Finding> {
  for (const task of tasks) {
    for (const id of task.dependsOn) {
      const isThere = tasks.some((other) => other.id === id);
      if (isThere && !mirror.has(["dependent", id, task.id])) {
        yield `task ${id} does not know that ${task.id} waits for it`;
      }
    }
  }
  yield* checkCycles(tasks);
}

function* checkCycles(tasks: View["tasks"]): Generator<Finding> {
  for (const task of tasks) {
    const seen = new Set<string>();
    const line = [...task.dependsOn];
    for (let id = line.pop(); id; id = line.pop()) {
      if (id === task.id) return yield `task ${task.id} waits for itself`;
      if (seen.has(id)) continue;
      seen.add(id);
      line.push(...tasks.find((other) => other.id === id)?.dependsOn ?? []);
    }
  }
}

function* checkFleets({ mirror, nodes }: View): Generator<Finding> {
  for (const key of mirror.keys("fleet")) {
    const { nodeIds } = mirror.get<{ nodeIds: string[] }>(key)!;
    const unknown = nodeIds.find((id) => !nodes.some((node) => node.id === id && node.ownerId === key[1]));
    if (unknown) yield `the fleet of ${String(key[1])} names ${unknown}, which is not theirs`;
  }
}

/** Kinds that are also written without a record: looking once more than needed does no harm. */
const LOOSE = new Set(["task.advance", "purge"]);

/**
 * What a record says is due has its key; a key has its record, but where a worker holds an item under a later time while
 * the record moved on. `leased`: the keys that were moved by taking them.
 */
export function* checkDues({ mirror, tasks, nodes, workspaces }: View, leased: Set<string>): Generator<Finding> {
  const wanted = new Map<string, number>();
  const note = (id: string, dues: Dues) => {
    for (const [kind, due] of Object.entries(dues)) {
      if (!LOOSE.has(kind)) wanted.set(`${kind} ${id} ${due.token}`, due.at);
    }
  };
  tasks.forEach((task) => note(`${task.projectId}/${task.id}`, task.dues));
  nodes.forEach((node) => note(node.id, node.dues));
  workspaces.forEach((workspace) => note(workspace.id, workspace.dues));
  for (const key of mirror.keys("due")) {
    const [, at, kind, id] = key as [string, number, string, string];
    if (LOOSE.has(kind)) continue;
    const name = `${kind} ${id} ${mirror.get<{ token: string }>(key)!.token}`;
    const isLeased = leased.has(key.join("/"));
    if (wanted.get(name) !== at && !isLeased) yield `the due key ${kind} of ${id} belongs to nothing`;
    wanted.delete(name);
  }
  for (const name of wanted.keys()) yield `due and without a key: ${name}`;
}
