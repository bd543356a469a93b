/** Calls to the edge with the tokens they need. */
import type { Logger } from "../../lib/log.ts";
import type { Runtime } from "../../lib/wire/workspace.ts";
import type { AgentConfig } from "../config.ts";

/** The edge could not be reached, or its answer did not come whole. */
export class NetworkError extends Error {
  override name = "NetworkError";
}

export interface EdgeAnswer {
  status: number;
  /** Parsed JSON, or null when there was none. */
  body: unknown;
  retryAfterMs?: number;
}

export interface EdgeRequest {
  method: "GET" | "POST";
  path: string;
  body?: unknown;
  /** Whose token: the node's, or that of the workspace with this id. */
  as: "node" | string;
  signal?: AbortSignal;
}

export interface Tokens {
  callbackToken?: string;
  workspaceTokens?: Record<string, string>;
}

export interface EdgeClientOptions {
  config: Pick<AgentConfig, "controlPlaneUrl" | "nodeId" | "dataDir" | "msgHttpTimeoutMs">;
  log: Logger;
}

export class EdgeClient {
  constructor(_options: EdgeClientOptions) {}
  setTokens(_tokens: Tokens): void {
    throw new Error("not made");
  }
  renew(_workspaceIds: string[]): Promise<void> {
    throw new Error("not made");
  }
  /** What the edge wants of a workspace. Throws NetworkError, or EdgeRefusal with the status when it refused. */
  runtime(_workspaceId: string): Promise<Runtime> {
    throw new Error("not made");
  }
  request(_request: EdgeRequest): Promise<EdgeAnswer> {
    throw new Error("not made");
  }
}

/** The edge answered, and not with what was asked for. */
export class EdgeRefusal extends Error {
  override name = "EdgeRefusal";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
