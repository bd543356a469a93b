/** How a machine of a person's own becomes a node: a script that everybody may read, and a command with the token. */
import {
  AGENT_ENV_PATH,
  agentEnvironmentFile,
  INSTALL_ENV_PATH,
  INSTALL_PATH,
  INSTALL_SCRIPT,
  installEnvironmentFile,
  type MachineSettings,
  UNIT,
  UNIT_PATH,
} from "./install_script.ts";

export const MANUAL_SCRIPT_PATH = "/install/node.sh";

/**
 * One line for a shell on the machine. Token and id reach the script on its standard input, from the shell's own echo: so
 * they show in no list of processes and no address.
 */
export function manualCommand(facts: { nodeId: string; bootstrapToken: string; controlPlaneUrl: string }): string {
  const lines = [`echo NODE_ID=${facts.nodeId}`, `echo BOOTSTRAP_TOKEN=${facts.bootstrapToken}`];
  return `{ ${lines.join("; ")}; curl -fsSL '${facts.controlPlaneUrl}${MANUAL_SCRIPT_PATH}'; } | sudo sh`;
}

/** The script of this edge: writes what cloud-init writes on a rented machine, then installs in the same way. */
export function manualScript(controlPlaneUrl: string, settings: MachineSettings): string {
  const environment = agentEnvironmentFile({
    CONTROL_PLANE_URL: controlPlaneUrl,
    NODE_HARD_LIFETIME_MS: settings.hardLifetimeMs,
    PROJECT_ID: null,
    CHAT_SESSION_ID: null,
  });
  // All in one function, called in the last line: a download that breaks off does nothing.
  return `#!/bin/sh
set -eu

add_node() {
  [ "$(id -u)" = 0 ] || { echo "Run this as root." >&2; exit 1; }
  case "\${NODE_ID:-}" in "" | *[!0-9a-f-]*) echo "NODE_ID is missing. Copy the whole command." >&2; exit 1 ;; esac
  case "\${BOOTSTRAP_TOKEN:-}" in "" | *[!A-Za-z0-9_-]*) echo "BOOTSTRAP_TOKEN is missing. Copy the whole command." >&2; exit 1 ;; esac
  command -v systemctl >/dev/null || { echo "This machine has no systemd." >&2; exit 1; }
  mkdir -p /etc/hearth
  (umask 077; cat >${AGENT_ENV_PATH} <<'HEARTH_END'
${environment}HEARTH_END
  )
  chmod 600 ${AGENT_ENV_PATH}
  printf 'NODE_ID="%s"\\nBOOTSTRAP_TOKEN="%s"\\n' "$NODE_ID" "$BOOTSTRAP_TOKEN" >>${AGENT_ENV_PATH}
  cat >${INSTALL_ENV_PATH} <<'HEARTH_END'
${installEnvironmentFile(settings)}HEARTH_END
  cat >${UNIT_PATH} <<'HEARTH_END'
${UNIT}HEARTH_END
  cat >${INSTALL_PATH} <<'HEARTH_END'
${INSTALL_SCRIPT}HEARTH_END
  chmod 755 ${INSTALL_PATH}
  ${INSTALL_PATH} </dev/null
}

add_node
`;
}
