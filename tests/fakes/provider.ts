/** A provider without machines: keeps what it was asked for, and fails when told to. */
import { type NodeProvider, type NodeSpec, ProviderError, type ProviderServer } from "../../lib/providers/provider.ts";

export class FakeProvider implements NodeProvider {
  readonly id = "local";
  readonly servers = new Map<string, NodeSpec>();
  readonly destroyed: string[] = [];
  /** The next calls fail with these, in order; null lets one through. */
  failures: { create: (ProviderError | null)[]; destroy: (ProviderError | null)[] } = { create: [], destroy: [] };
  /** Called after each create, outside of it: the machine "boots". */
  onCreate: (spec: NodeSpec) => void = () => {};

  create(spec: NodeSpec): Promise<string> {
    const failure = this.failures.create.shift();
    if (failure) return Promise.reject(failure);
    this.servers.set(spec.nodeId, spec);
    queueMicrotask(() => this.onCreate(spec));
    return Promise.resolve(spec.nodeId);
  }

  get(ref: string): Promise<ProviderServer | null> {
    return Promise.resolve(this.servers.has(ref) ? { ref, nodeId: ref, status: "running" } : null);
  }

  list(): Promise<ProviderServer[]> {
    return Promise.resolve([...this.servers.keys()].map((ref) => ({ ref, nodeId: ref, status: "running" })));
  }

  destroy(ref: string): Promise<void> {
    const failure = this.failures.destroy.shift();
    if (failure) return Promise.reject(failure);
    this.servers.delete(ref);
    this.destroyed.push(ref);
    return Promise.resolve();
  }

  adopt(): Promise<number> {
    return Promise.resolve(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

export { ProviderError };
