/** What the configuration says of every machine that is set up elsewhere. */
import type { EdgeConfig } from "../config.ts";
import type { MachineSettings } from "../providers/cloud_init.ts";

export function machineSettings(config: EdgeConfig): MachineSettings {
  return {
    agent: {
      x64: download(config.AGENT_BINARY_URL_X64, config.AGENT_BINARY_SHA256_X64),
      arm64: download(config.AGENT_BINARY_URL_ARM64, config.AGENT_BINARY_SHA256_ARM64),
    },
    codingAgentPackages: config.CODING_AGENT_PACKAGES.split(/[ ,]+/),
    hardLifetimeMs: config.NODE_HARD_LIFETIME_MS,
  };
}

function download(url: string | undefined, sha256: string | undefined): { url: string; sha256: string } | null {
  return url && sha256 ? { url, sha256 } : null;
}
