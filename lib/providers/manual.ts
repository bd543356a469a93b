/**
 * Machines of a person's own. Nothing is made and nothing destroyed here: the owner adds a machine with a command and
 * takes it away themselves; a node that is removed is only forgotten, and its agent learns that it is not wanted.
 */
import { type NodeProvider, type NodeSpec, ProviderError, type ProviderServer } from "./provider.ts";

export class ManualProvider implements NodeProvider {
  readonly id = "manual";

  create(_spec: NodeSpec): Promise<string> {
    return Promise.reject(
      new ProviderError("no machine of yours has room now. Add one on the Nodes page, or wait until one is free", {
        waitable: true,
      }),
    );
  }

  /** Whether such a machine exists is known to its owner alone, so none is ever taken for gone. */
  get(ref: string): Promise<ProviderServer | null> {
    return Promise.resolve({ ref, nodeId: ref, status: "running" });
  }

  list(): Promise<ProviderServer[]> {
    return Promise.resolve([]);
  }

  destroy(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
