/**
 * The text with which a new server sets itself up (`#cloud-config`). Fixed texts are block scalars, everything else is a
 * quoted scalar in ASCII, so that no value ends where it should not. No secret in it lives longer than the one-time token.
 */
import { byteLength } from "../bytes.ts";
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
import { type NodeSpec, ProviderError } from "./provider.ts";

export type { MachineSettings };

/** What providers take at most. */
export const CLOUD_INIT_MAX_BYTES = 32 * 1024;

export type CloudInitSpec = Pick<
  NodeSpec,
  "nodeId" | "bootstrapToken" | "controlPlaneUrl" | "projectId" | "sessionId"
>;

/** The user data of a node's server. Throws ProviderError for what no server would take. */
export function cloudInit(spec: CloudInitSpec, settings: MachineSettings): string {
  const agentEnvironment = agentEnvironmentFile({
    NODE_ID: spec.nodeId,
    CONTROL_PLANE_URL: spec.controlPlaneUrl,
    BOOTSTRAP_TOKEN: spec.bootstrapToken,
    PROJECT_ID: spec.projectId,
    CHAT_SESSION_ID: spec.sessionId,
    NODE_HARD_LIFETIME_MS: settings.hardLifetimeMs,
    HEARTH_POWEROFF: 1,
  });
  const text = [
    "#cloud-config",
    "ssh_pwauth: false",
    "write_files:",
    ...file(AGENT_ENV_PATH, "0600", quoted(agentEnvironment)),
    ...file(INSTALL_ENV_PATH, "0644", quoted(installEnvironmentFile(settings))),
    ...file(UNIT_PATH, "0644", block(UNIT)),
    ...file(INSTALL_PATH, "0755", block(INSTALL_SCRIPT)),
    "runcmd:",
    `  - [${quoted(INSTALL_PATH)}]`,
    "",
  ].join("\n");
  const bytes = byteLength(text);
  if (bytes <= CLOUD_INIT_MAX_BYTES) return text;
  throw new ProviderError(`the machine's setup is ${bytes} bytes long, and ${CLOUD_INIT_MAX_BYTES} is the most`);
}

function file(path: string, permissions: string, content: string): string[] {
  return [
    `  - path: ${quoted(path)}`,
    `    owner: "root:root"`,
    `    permissions: ${quoted(permissions)}`,
    `    content: ${content}`,
  ];
}

/** A double-quoted YAML scalar in printable ASCII. */
function quoted(text: string): string {
  const escaped = Array.from(text, (character) => {
    if (character === "\n") return "\\n";
    if (character === '"' || character === "\\") return `\\${character}`;
    const code = character.codePointAt(0)!;
    if (code >= 0x20 && code < 0x7f) return character;
    return code > 0xffff ? `\\U${code.toString(16).padStart(8, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
  return `"${escaped.join("")}"`;
}

/** A literal block of one of our own texts. */
function block(text: string): string {
  return ["|", ...text.trimEnd().split("\n").map((line) => line === "" ? "" : `      ${line}`)].join("\n");
}
