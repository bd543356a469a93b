/** What main makes once and every function of the edge gets: configuration, store, clock, tokens, live hub, provider. */
import type { SealKeys } from "./auth/seal.ts";
import type { Keyring } from "./auth/tokens.ts";
import type { EdgeConfig } from "./config.ts";
import type { Live } from "./live/live.ts";
import type { Logger } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import type { NodeProvider } from "./providers/provider.ts";
import type { Store } from "./store/store.ts";

export interface Edge {
  config: EdgeConfig;
  store: Store;
  log: Logger;
  /** Milliseconds since the epoch. */
  clock: () => number;
  keyring: Keyring;
  /** Opens and seals stored credentials. */
  sealKeys: SealKeys;
  /** Makes new machines. */
  provider: NodeProvider;
  /** Know machines that came another way: of an earlier configuration, or a person's own. */
  otherProviders: NodeProvider[];
  live: Live;
  metrics: Metrics;
  /** The numbers of the agents' protocol that are spoken, both included. */
  protocol: { min: number; max: number };
}
