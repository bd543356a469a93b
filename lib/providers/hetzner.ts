/**
 * Servers at Hetzner, one for each node. A server is called `hearth-<nodeId>` and Hetzner takes no second one of a name,
 * so an order whose answer was lost is found again by it instead of being paid twice. Labels say which installation,
 * node and owner a server is for; one without them is never deleted.
 */
import { wait } from "../backoff.ts";
import type { Logger } from "../log.ts";
import { isUuid } from "../ids.ts";
import type { VmSize } from "../wire/common.ts";
import { cloudInit, type MachineSettings } from "./cloud_init.ts";
import { HetznerApi, type HetznerServer } from "./hetzner_api.ts";
import { HetznerError } from "./hetzner_error.ts";
import {
  type NodeProvider,
  type NodeSpec,
  type ProviderAccess,
  ProviderError,
  type ProviderServer,
} from "./provider.ts";

const ORDERS_MAX = 2;
/** How long an order without an answer is looked for before it counts as not taken. */
const LOOK_AFTER_MS = [300, 1_000, 2_000];
/** How long a deletion is waited for; a longer one is asked about again by the next try. */
const GONE_AFTER_MS = [200, 500, 1_000, 2_000, 3_000, 5_000, 8_000];
const PRICES_KEPT_MS = 24 * 3_600_000;

export const INSTALLATION_LABEL = "hearth-installation";
export const NODE_LABEL = "hearth-node";
export const OWNER_LABEL = "hearth-owner";

export interface HetznerOptions {
  url: string;
  serverTypes: Record<VmSize, string>;
  image: string;
  /** What every machine is set up with. */
  machine: MachineSettings;
  timeoutMs?: number;
  log: Logger;
}

export class HetznerProvider implements NodeProvider {
  readonly id = "hetzner";
  readonly #options: HetznerOptions;
  readonly #prices = new Map<string, { price: number | null; until: number }>();

  constructor(options: HetznerOptions) {
    this.#options = options;
  }

  async create(spec: NodeSpec, access: ProviderAccess): Promise<string> {
    const api = this.#api(access);
    const name = nameOf(spec.nodeId);
    const order = {
      name,
      serverType: this.#options.serverTypes[spec.vmSize],
      location: spec.location,
      image: this.#options.image,
      userData: cloudInit(spec, this.#options.machine),
      labels: {
        [INSTALLATION_LABEL]: spec.installationId,
        [NODE_LABEL]: spec.nodeId,
        [OWNER_LABEL]: spec.ownerId,
      },
    };
    const known = await api.findServer(name);
    if (known) return ownReference(known, spec.nodeId);
    for (let orders = 1;; orders++) {
      try {
        return String((await api.createServer(order)).id);
      } catch (error) {
        if (!(error instanceof HetznerError)) throw error;
        if (error.code !== "uniqueness_error" && !error.uncertain) throw error;
        const found = await this.#lookFor(api, name);
        if (found) return ownReference(found, spec.nodeId);
        if (orders === ORDERS_MAX) throw new ProviderError(`${error.message}; no server of this order was found`);
        this.#options.log.warn("server_order_repeated", { nodeId: spec.nodeId, reason: error.message });
      }
    }
  }

  async get(ref: string, access: ProviderAccess): Promise<ProviderServer | null> {
    const found = await this.#find(this.#api(access), ref);
    return found && toServer(found);
  }

  async list(installationId: string, access: ProviderAccess): Promise<ProviderServer[]> {
    return (await this.#api(access).listServers(`${INSTALLATION_LABEL}=${installationId}`)).map(toServer);
  }

  async destroy(ref: string, access: ProviderAccess): Promise<void> {
    const api = this.#api(access);
    const found = await this.#find(api, ref);
    if (!found) return;
    if (!found.labels[NODE_LABEL]) throw new ProviderError(`server ${found.id} at Hetzner is not one of Hearth's`);
    await api.deleteServer(found.id);
    for (const pauseMs of GONE_AFTER_MS) {
      if (await api.readServer(found.id) === null) return;
      await wait(pauseMs);
    }
    throw new ProviderError(`Hetzner is still deleting server ${found.id}`, { waitable: true });
  }

  async priceHour(spec: Pick<NodeSpec, "vmSize" | "location">, access: ProviderAccess): Promise<number | null> {
    const type = this.#options.serverTypes[spec.vmSize];
    const key = `${type} ${spec.location}`;
    const known = this.#prices.get(key);
    if (known && known.until > Date.now()) return known.price;
    try {
      const prices = (await this.#api(access).findServerType(type))?.prices ?? [];
      const price = prices.find(({ location }) => location === spec.location)?.priceHourly.gross ?? null;
      this.#prices.set(key, { price, until: Date.now() + PRICES_KEPT_MS });
      return price;
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      this.#options.log.warn("price_not_read", { type, reason: error.message });
      return null;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #api({ secret }: ProviderAccess): HetznerApi {
    if (!secret) throw new ProviderError("there is no API token for Hetzner. Store one in your credentials");
    return new HetznerApi({ url: this.#options.url, token: secret, timeoutMs: this.#options.timeoutMs ?? 10_000 });
  }

  /** The server of an order whose answer was lost: it may show only a moment later. */
  async #lookFor(api: HetznerApi, name: string): Promise<HetznerServer | null> {
    for (const pauseMs of LOOK_AFTER_MS) {
      const found = await api.findServer(name);
      if (found) return found;
      await wait(pauseMs);
    }
    return await api.findServer(name);
  }

  /** By Hetzner's number, or by the node's id where no number was noted. */
  async #find(api: HetznerApi, ref: string): Promise<HetznerServer | null> {
    if (/^[1-9]\d{0,15}$/.test(ref)) return await api.readServer(Number(ref));
    if (!isUuid(ref)) throw new ProviderError("this is not the reference of a server at Hetzner");
    const found = await api.findServer(nameOf(ref));
    return found?.labels[NODE_LABEL] === ref ? found : null;
  }
}

function nameOf(nodeId: string): string {
  return `hearth-${nodeId}`;
}

function ownReference(found: HetznerServer, nodeId: string): string {
  if (found.labels[NODE_LABEL] === nodeId) return String(found.id);
  throw new ProviderError(`another server at Hetzner has the name ${found.name} already. Delete or rename it there`);
}

function toServer(found: HetznerServer): ProviderServer {
  const starting = ["initializing", "starting", "rebuilding", "migrating"].includes(found.status);
  const status = found.status === "running" ? "running" : starting ? "starting" : "stopped";
  return { ref: String(found.id), nodeId: found.labels[NODE_LABEL] ?? null, status };
}
