/**
 * What turns a Debian machine into a node: the service's unit and the script that installs what it needs. Both are fixed
 * texts; whatever differs between machines stands in two files of quoted assignments, so that no value is ever code.
 */
import { ProviderError } from "./provider.ts";

export const AGENT_ENV_PATH = "/etc/hearth/agent.env";
export const INSTALL_ENV_PATH = "/etc/hearth/install.env";
export const UNIT_PATH = "/etc/systemd/system/hearth-agent.service";
export const INSTALL_PATH = "/usr/local/sbin/hearth-install";

const STATE_DIRECTORY = "/var/lib/hearth-agent";

/** What every machine is set up with. */
export interface MachineSettings {
  /** Where the agent's executable is downloaded from, and its SHA-256; null where there is none for that processor. */
  agent: Record<"x64" | "arm64", { url: string; sha256: string } | null>;
  /** npm packages of coding agents, with exact versions. */
  codingAgentPackages: string[];
  /** An agent that cannot reach its edge for this long ends its work. */
  hardLifetimeMs: number;
}

export const UNIT = `[Unit]
Description=Hearth agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
User=root
EnvironmentFile=${AGENT_ENV_PATH}
ExecStart=/usr/local/bin/hearth-agent node
Restart=always
RestartSec=5
KillMode=mixed
TimeoutStopSec=30
ProtectSystem=strict
PrivateTmp=yes
Delegate=yes
StateDirectory=hearth-agent
StateDirectoryMode=0700

[Install]
WantedBy=multi-user.target
`;

export const INSTALL_SCRIPT = `#!/bin/sh
# Installs what Hearth's agent needs, then the agent, and starts it. Safe to run again.
set -eu

fail() {
  echo "hearth-install: $1" >&2
  exit 1
}

# Another program may hold the package database while the machine boots.
patiently() {
  for pause in 2 5 10 20 40 0; do
    "$@" && return 0
    sleep "$pause"
  done
  return 1
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  patiently apt-get update -q || fail "the list of packages could not be read."
  patiently apt-get install -q -y --no-install-recommends ca-certificates curl git nodejs npm ||
    fail "git, curl, Node and npm could not be installed."
  major=$(node --version | sed 's/^v//; s/\\..*//')
  [ "$major" -ge 20 ] || fail "this system brings Node $major, and coding agents need 20 or newer. Use Debian 13."
}

# The agent reports which coding agents start: one that could not be installed does not stop the others.
install_coding_agents() {
  for package in $CODING_AGENT_PACKAGES; do
    patiently npm install --global --no-fund --no-audit -- "$package" ||
      echo "hearth-install: $package could not be installed." >&2
  done
}

install_agent() {
  case $(uname -m) in
    x86_64) url=$AGENT_URL_X64 sum=$AGENT_SHA256_X64 ;;
    aarch64 | arm64) url=$AGENT_URL_ARM64 sum=$AGENT_SHA256_ARM64 ;;
    *) fail "there is no agent for $(uname -m)." ;;
  esac
  [ -n "$url" ] || fail "the edge names no agent for $(uname -m). Set AGENT_BINARY_URL_* there."
  fresh=/usr/local/bin/.hearth-agent-new
  patiently curl --fail --silent --show-error --location --proto '=https,http' --proto-redir '=https' \\
    --max-time 600 --output "$fresh" -- "$url" || fail "the agent could not be downloaded."
  echo "$sum  $fresh" | sha256sum --check --status || fail "the agent's SHA-256 is not the expected one."
  chmod 755 "$fresh"
  mv -- "$fresh" /usr/local/bin/hearth-agent
}

main() {
  . ${INSTALL_ENV_PATH}
  install_packages
  install_coding_agents
  install_agent
  systemctl daemon-reload
  systemctl enable hearth-agent.service
  systemctl restart hearth-agent.service
  echo "hearth-install: the agent is started."
}

main
`;

/** The file that the agent's service is started with. */
export function agentEnvironmentFile(values: Record<string, string | number | null>): string {
  const fixed = { AGENT_DATA_DIR: STATE_DIRECTORY, HOME: STATE_DIRECTORY };
  return Object.entries({ ...values, ...fixed }).map(([name, value]) => `${name}=${quote(String(value ?? ""))}\n`)
    .join("");
}

/** The file that the install script reads. */
export function installEnvironmentFile(settings: MachineSettings): string {
  const { x64, arm64 } = settings.agent;
  return Object.entries({
    CODING_AGENT_PACKAGES: settings.codingAgentPackages.join(" "),
    AGENT_URL_X64: x64?.url ?? "",
    AGENT_SHA256_X64: x64?.sha256 ?? "",
    AGENT_URL_ARM64: arm64?.url ?? "",
    AGENT_SHA256_ARM64: arm64?.sha256 ?? "",
  }).map(([name, value]) => `${name}=${quote(value)}\n`).join("");
}

/** Double quotes that systemd and the shell read alike: what they would expand is escaped, what ends a line refused. */
function quote(value: string): string {
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(value)) throw new ProviderError("a value for the machine holds a control character");
  return `"${value.replace(/[\\"$`]/g, "\\$&")}"`;
}
