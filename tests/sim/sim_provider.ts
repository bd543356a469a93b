/**
 * A provider of machines that may fail, take its time, lose its answer, or lose a server. What it says and when is the
 * seed's; what it promises is the real promise: one machine a node, and a missing one is deleted with success.
 */
import { type NodeProvider, type NodeSpec, ProviderError, type ProviderServer } from "../../lib/providers/provider.ts";
import type { Fiber, Fibers } from "./fibers.ts";

export interface Server {
  ref: string;
  spec: NodeSpec;
  /** When its agent comes up; Infinity: never. */
  bootsAt: number;
}

export type ProviderFault = "refused" | "no_capacity" | "answer_lost" | null;

export interface SimCloud {
  readonly servers: Map<string, Server>;
  /** Nodes whose machine was deleted with a confirmation, or never existed when it was asked for. */
  readonly confirmed: Set<string>;
  fault: (call: "create" | "destroy" | "list") => ProviderFault;
  bootsAt: () => number;
  onDestroy: (server: Server | null, ref: string) => void;
  tell: (fiber: Fiber, text: string) => void;
  made: number;
}

/** The provider as one operation sees it. */
export class SimProvider implements NodeProvider {
  readonly id = "local";
  readonly #cloud: SimCloud;
  readonly #fibers: Fibers;
  readonly #fiber: Fiber;

  constructor(cloud: SimCloud, fibers: Fibers, fiber: Fiber) {
    this.#cloud = cloud;
    this.#fibers = fibers;
    this.#fiber = fiber;
  }

  async create(spec: NodeSpec): Promise<string> {
    const { servers, bootsAt } = this.#cloud;
    const [ref, fault] = await this.#step("create", () => {
      const fault = this.#cloud.fault("create");
      if (fault === "refused") this.#fail("the provider refused");
      if (fault === "no_capacity") this.#fail("no capacity now", true);
      const known = [...servers.values()].find((server) => server.spec.nodeId === spec.nodeId);
      if (known) return [known.ref, fault];
      const made = `server-${++this.#cloud.made}`;
      servers.set(made, { ref: made, spec, bootsAt: bootsAt() });
      this.#cloud.tell(this.#fiber, `${made} is made`);
      return [made, fault];
    });
    await this.#step("create's answer", () => {
      if (fault === "answer_lost") this.#fail("the provider did not answer");
    });
    return ref;
  }

  async get(ref: string): Promise<ProviderServer | null> {
    return await this.#step("get", () => {
      const server = this.#cloud.servers.get(ref);
      return server ? { ref, nodeId: server.spec.nodeId, status: "running" } : null;
    });
  }

  async list(): Promise<ProviderServer[]> {
    return await this.#step("list", () => {
      if (this.#cloud.fault("list")) this.#fail("the inventory is not complete");
      return [...this.#cloud.servers.values()].map(({ ref, spec }) => ({
        ref,
        nodeId: spec.nodeId,
        status: "running",
      }));
    });
  }

  async destroy(ref: string): Promise<void> {
    const { servers } = this.#cloud;
    const [nodeId, fault] = await this.#step("destroy", () => {
      const fault = this.#cloud.fault("destroy");
      if (fault === "refused" || fault === "no_capacity") this.#fail("the provider did not delete");
      const server = servers.get(ref) ?? [...servers.values()].find(({ spec }) => spec.nodeId === ref) ?? null;
      this.#cloud.onDestroy(server, ref);
      if (server) servers.delete(server.ref);
      this.#cloud.tell(this.#fiber, server ? `${server.ref} is deleted` : "the machine was not there to delete");
      return [server?.spec.nodeId ?? null, fault];
    });
    await this.#step("destroy's answer", () => {
      if (fault === "answer_lost") this.#fail("the provider did not answer");
      for (const id of [ref, nodeId]) if (id) this.#cloud.confirmed.add(id);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #step<T>(label: string, act: () => T): Promise<T> {
    return this.#fibers.park(this.#fiber, `provider ${label}`, act);
  }

  #fail(message: string, waitable = false): never {
    this.#fiber.injected.push(message);
    this.#cloud.tell(this.#fiber, message);
    throw new ProviderError(message, { waitable });
  }
}
