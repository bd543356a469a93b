/** Providers as tests make them. */
import { createLogger, type Logger } from "../../../lib/log.ts";
import { newId, newSecret } from "../../../lib/ids.ts";
import type { MachineSettings } from "../../../lib/providers/cloud_init.ts";
import { HetznerProvider } from "../../../lib/providers/hetzner.ts";
import type { NodeSpec } from "../../../lib/providers/provider.ts";
import type { FakeHcloud } from "../../fakes/hcloud.ts";

export const MACHINE: MachineSettings = {
  agent: { x64: { url: "https://downloads.example.org/hearth-agent-x64", sha256: "ab".repeat(32) }, arm64: null },
  codingAgentPackages: ["@agentclientprotocol/claude-agent-acp@0.100.0"],
  hardLifetimeMs: 86_400_000,
};

export function newSpec(facts: Partial<NodeSpec> = {}): NodeSpec {
  return {
    nodeId: newId(),
    ownerId: newId(),
    installationId: newId(),
    vmSize: "small",
    location: "nbg1",
    bootstrapToken: newSecret(),
    controlPlaneUrl: "https://hearth.example.org",
    projectId: newId(),
    sessionId: newId(),
    ...facts,
  };
}

export interface Captured {
  log: Logger;
  lines: string[];
}

export function captureLog(): Captured {
  const lines: string[] = [];
  return { log: createLogger("debug", (line) => lines.push(line)), lines };
}

export function newHetzner(fake: FakeHcloud, { log = captureLog().log, timeoutMs = 5_000 } = {}): HetznerProvider {
  return new HetznerProvider({
    url: fake.url,
    serverTypes: { small: "cx23", medium: "cx33", large: "cx43" },
    image: "debian-13",
    machine: MACHINE,
    timeoutMs,
    log,
  });
}
