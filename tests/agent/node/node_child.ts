/**
 * The node's parts in a process of their own, to be killed: folder, address of the edge, workspace to start, and where
 * it is given the folder of the only coding agents, each workspace as a user of its own.
 */
import { isolated, startNode } from "./node_harness.ts";

const [folder, url, workspaceId, programs] = Deno.args;
if (!folder || !url || !workspaceId) throw new Error("three arguments are needed");
const environment = programs ? isolated(programs) : {};
const node = await startNode(folder, { url, runtimes: new Map([[workspaceId, null]]) }, { environment });
await node.workspaces.start(workspaceId, 1);
