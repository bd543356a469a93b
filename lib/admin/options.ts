/** What the forms may offer: coding agents, sizes, places, limits. */
import type { Edge } from "../edge.ts";
import { CODING_AGENTS } from "../nodes/coding_agents.ts";
import type { Options } from "../wire/account.ts";
import { PROMPT_MAX, TITLE_MAX } from "../wire/limits.ts";

export function readOptions(edge: Edge): Options {
  const { config } = edge;
  return {
    codingAgents: [...CODING_AGENTS],
    defaultCodingAgent: config.DEFAULT_CODING_AGENT,
    vmSizes: ["small", "medium", "large"],
    locations: [config.DEFAULT_VM_LOCATION],
    provider: edge.provider.id,
    limits: {
      title: TITLE_MAX,
      description: PROMPT_MAX,
      projects: config.MAX_PROJECTS_PER_USER,
      tasksPerProject: config.MAX_TASKS_PER_PROJECT,
      nodes: config.MAX_NODES_PER_USER,
      workspacesPerNode: config.MAX_WORKSPACES_PER_NODE,
    },
  };
}
