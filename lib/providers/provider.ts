/**
 * What makes and removes machines. Every implementation keeps the same promises: `create` may be called again for the
 * same node and never makes a second machine; `destroy` of a missing machine succeeds; errors are `ProviderError`s in
 * plain words, without secrets.
 */

export interface NodeSpec {
  nodeId: string;
  ownerId: string;
  installationId: string;
  vmSize: "small" | "medium" | "large";
  location: string;
  /** One-time token with which the agent registers. */
  bootstrapToken: string;
  /** Where the agent finds the edge. */
  controlPlaneUrl: string;
  /** The run that caused the machine: for logs only. */
  projectId: string | null;
  sessionId: string | null;
}

/** Whose machines a call is about: the opened secret of the owner's credential, null where the provider needs none. */
export interface ProviderAccess {
  secret: string | null;
}

export interface ProviderServer {
  ref: string;
  nodeId: string | null;
  status: "running" | "starting" | "stopped";
}

export class ProviderError extends Error {
  override name = "ProviderError";
  /** Whether waiting may help: no quota or no capacity at the moment. */
  readonly waitable: boolean;

  constructor(message: string, options: { waitable?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.waitable = options.waitable ?? false;
  }
}

export interface NodeProvider {
  readonly id: "local" | "hetzner" | "manual";
  /** Makes the machine of a node, or finds the one that exists. Returns the provider's name for it. */
  create(spec: NodeSpec, access: ProviderAccess): Promise<string>;
  /** The machine, or null when it does not exist. */
  get(ref: string, access: ProviderAccess): Promise<ProviderServer | null>;
  /** Every machine of this installation. Throws when the inventory is not complete. */
  list(installationId: string, access: ProviderAccess): Promise<ProviderServer[]>;
  /** Removes the machine; resolves when it is gone. A node whose machine was never noted is named by its own id. */
  destroy(ref: string, access: ProviderAccess): Promise<void>;
  /** Whether its machines know a login of this coding agent already, so that a run needs no stored key. */
  hasLogin?(codingAgent: string): Promise<boolean>;
  /** What an hour of such a machine costs, or null: nothing, or not known. Never throws. */
  priceHour?(spec: Pick<NodeSpec, "vmSize" | "location">, access: ProviderAccess): Promise<number | null>;
  [Symbol.asyncDispose](): Promise<void>;
}
