/** The node's parts in a process of their own, to be killed: folder, address of the edge, workspace to start. */
import { startNode } from "./node_harness.ts";

const [folder, url, workspaceId] = Deno.args;
if (!folder || !url || !workspaceId) throw new Error("three arguments are needed");
const node = await startNode(folder, { url, runtimes: new Map([[workspaceId, null]]) });
await node.workspaces.start(workspaceId, 1);
