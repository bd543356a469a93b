/**
 * Makes the node known to its edge: the one-time token buys a secret that is kept. The nonce is made and kept before
 * the first try, because the answer may be lost and the token works again for the same nonce only.
 */
import { backoffMs, wait } from "../../lib/backoff.ts";
import type { Logger } from "../../lib/log.ts";
import { PROTOCOL } from "../../lib/wire/limits.ts";
import { registerAnswer, type RegisterNode } from "../../lib/wire/node.ts";
import { problem } from "../../lib/wire/problem.ts";
import { AGENT_VERSION, type AgentConfig } from "../config.ts";
import { type EdgeAnswer, type EdgeClient, NetworkError } from "../delivery/edge_client.ts";
import { type Identity, openIdentity, writeIdentity } from "../store/identity.ts";

const RETRY = { initialMs: 500, maxMs: 30_000 };

/** The edge does not take this node; only a person can change that. */
export class EnrolmentRefused extends Error {
  override name = "EnrolmentRefused";
}

export interface EnrolOptions {
  config: Pick<AgentConfig, "nodeId" | "dataDir" | "bootstrapToken" | "isolateWorkspaces">;
  edge: EdgeClient;
  /** Ids of the coding agents whose command starts; asked for only by a node that is not registered. */
  codingAgents: () => Promise<string[]>;
  log: Logger;
  signal?: AbortSignal;
}

/**
 * The node's identity, registered. Tries until the edge answers. Throws EnrolmentRefused when the edge does not take
 * this node, and the signal's reason when that aborts.
 */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { config, signal } = options;
  const identity = await openIdentity(config.dataDir, config.nodeId);
  if (identity.nodeSecret !== null) return identity;
  if (config.bootstrapToken === null) {
    throw new EnrolmentRefused("This node is not registered. Set BOOTSTRAP_TOKEN to the one-time token of the node.");
  }
  const codingAgents = await options.codingAgents();
  for (let attempt = 0;; attempt++) {
    signal?.throwIfAborted();
    const answer = await register(options, { nonce: identity.nonce, codingAgents });
    if (answer) return await keep(options, identity, answer);
    await wait(backoffMs(attempt, RETRY, Math.random()), signal);
  }
}

/** One try. Null when it has to be repeated. */
async function register(
  options: EnrolOptions,
  { nonce, codingAgents }: { nonce: string; codingAgents: string[] },
): Promise<EdgeAnswer | null> {
  const body: RegisterNode = {
    nodeId: options.config.nodeId,
    bootstrapToken: options.config.bootstrapToken!,
    nonce,
    agentVersion: AGENT_VERSION,
    protocol: PROTOCOL,
    capabilities: {
      codingAgents,
      hostname: Deno.hostname(),
      os: Deno.build.os,
      arch: Deno.build.arch,
      isolated: options.config.isolateWorkspaces && Deno.uid() === 0,
    },
  };
  try {
    const { signal } = options;
    const answer = await options.edge.requestOpenly({ method: "POST", path: "/api/nodes/register", body, signal });
    if (answer.status === 200) return answer;
    if (answer.status >= 400 && answer.status < 500 && ![408, 425, 429].includes(answer.status)) throw refused(answer);
    options.log.warn("registration_delayed", { status: answer.status });
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    options.log.warn("registration_delayed", { reason: error.message });
  }
  return null;
}

async function keep(options: EnrolOptions, identity: Identity, answer: EdgeAnswer): Promise<Identity> {
  const parsed = registerAnswer.safeParse(answer.body);
  if (!parsed.success) {
    throw new EnrolmentRefused("The address in CONTROL_PLANE_URL answers, but not as an edge. Check it.");
  }
  const { nodeSecret, callbackToken, heartbeatMs, limits } = parsed.data;
  const registered = { ...identity, nodeSecret, heartbeatMs, limits };
  await writeIdentity(options.config.dataDir, registered);
  options.edge.setTokens({ callbackToken });
  options.log.info("node_registered", { nodeId: identity.nodeId });
  return registered;
}

function refused(answer: EdgeAnswer): EnrolmentRefused {
  const parsed = problem.safeParse(answer.body);
  const reason = parsed.success ? parsed.data.message : `status ${answer.status}`;
  return new EnrolmentRefused(
    `The edge refused to register this node: ${reason} Make the node anew on the Nodes page and use its new token.`,
  );
}
