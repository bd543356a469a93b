/**
 * `hearth-agent doctor`: looks at everything that a node needs and says of each thing that is missing how to put it
 * right. It changes nothing.
 */
import { statfs } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import ky from "ky";
import { hasLogin, loginCommand } from "../lib/coding_agent_logins.ts";
import { messageOf } from "../lib/errors.ts";
import type { AgentConfig } from "./config.ts";
import { findProgram } from "./process/find_program.ts";
import { findInstalled, type Found } from "./coding/installed.ts";
import type { Profile } from "./coding/profiles.ts";

const GIB = 1024 ** 3;
const DISK_FREE_MIN_BYTES = GIB;
const CLOCK_SKEW_MAX_MS = 60_000;
const EDGE_TIMEOUT_MS = 10_000;

export interface Finding {
  what: string;
  ok: boolean;
  /** What was found, and for a fault what to do. */
  text: string;
}

/** Every check, in the order in which a person would put things right. */
export async function examine(config: AgentConfig): Promise<Finding[]> {
  const [machine, edge] = await Promise.all([examineMachine(config), checkEdge(config.controlPlaneUrl)]);
  return [describeNode(config), ...machine, ...edge];
}

/** What can be said of a machine that belongs to no edge yet. */
export async function examineMachine(config: AgentConfig): Promise<Finding[]> {
  const [git, agents, isolation, disk] = await Promise.all([
    checkGit(config),
    checkCodingAgents(config),
    checkIsolation(config),
    checkDisk(config.dataDir),
  ]);
  return [git, ...agents, ...isolation, disk];
}

/** The findings as lines for a terminal. */
export function describeFindings(findings: Finding[]): string {
  const lines = findings.map(({ ok, what, text }) => `${ok ? "ok   " : "FAULT"}  ${what}: ${text}`);
  const faults = findings.filter((finding) => !finding.ok).length;
  return [...lines, faults === 0 ? "Everything is in order." : `${faults} thing(s) to put right.`].join("\n") + "\n";
}

function describeNode(config: AgentConfig): Finding {
  const cause = config.projectId === null ? "" : `, made for project ${config.projectId}`;
  const session = config.chatSessionId === null ? "" : `, session ${config.chatSessionId}`;
  return { what: "node", ok: true, text: `${config.nodeId}${cause}${session}` };
}

async function checkGit(config: AgentConfig): Promise<Finding> {
  const what = "git";
  try {
    const command = new Deno.Command("git", { args: ["--version"], clearEnv: true, env: config.childEnvironment });
    const { success, stdout } = await command.output();
    if (success) return { what, ok: true, text: new TextDecoder().decode(stdout).trim() };
  } catch {
    // Not there at all: the same advice.
  }
  return { what, ok: false, text: "not found. Install it, for example with: apt-get install git" };
}

/** One line for each that can be installed. None of them is a must, so only one that is there and broken is a fault. */
async function checkCodingAgents(config: AgentConfig): Promise<Finding[]> {
  const installed = await findInstalled(config);
  const working = installed.filter(({ found }) => found.is === "working").map(({ profile }) => profile.id);
  const each = installed.map(async ({ profile, found }) => ({
    what: profile.label,
    ok: found.is !== "broken",
    text: await describe(profile, { found, environment: config.childEnvironment }),
  }));
  return [{ what: "coding agents", ok: true, text: ["demo", ...working].join(", ") }, ...await Promise.all(each)];
}

async function describe(
  profile: Profile,
  { found, environment }: { found: Found; environment: Record<string, string> },
): Promise<string> {
  const install = `npm install -g ${profile.package}`;
  if (found.is === "missing") return `not installed. To use it: ${install}`;
  if (found.is === "broken") return `installed, and does not work: ${found.why}. Install it anew: ${install}`;
  const { version } = found;
  const known = profile.package?.split("@").at(-1) ?? "";
  const isKnown = version === null || version === known;
  const which = `installed${version === null ? "" : `, version ${version}`}` +
    (isKnown ? "" : `; ${known} is known to work: ${install}`);
  const isSignedIn = await hasLogin(profile.id, environment);
  const how = loginCommand(profile.id);
  return `${which}; ${
    isSignedIn ? "signed in" : `no login found: it needs a key from the page Credentials, or: ${how}`
  }`;
}

/** Nothing to say where the agent is not root: then it cannot give anybody a user of their own. */
async function checkIsolation(config: AgentConfig): Promise<Finding[]> {
  if (Deno.uid() !== 0) return [];
  const what = "isolation";
  if (!config.isolateWorkspaces) {
    return [{ what, ok: true, text: "off: coding agents run as root (ISOLATE_WORKSPACES)" }];
  }
  if (await findProgram("setpriv", config.childEnvironment.PATH) !== null) {
    return [{ what, ok: true, text: "each workspace has a user of its own" }];
  }
  return [{ what, ok: false, text: "the program setpriv is missing. Install it: apt-get install util-linux" }];
}

async function checkDisk(dataDir: string): Promise<Finding> {
  const what = "disk";
  try {
    const { bavail, bsize } = await statfs(await existing(resolve(dataDir)));
    const free = bavail * bsize;
    const text = `${(free / GIB).toFixed(1)} GiB free at ${dataDir}`;
    if (free >= DISK_FREE_MIN_BYTES) return { what, ok: true, text };
    return { what, ok: false, text: `${text}; below 1 GiB no workspace is started. Make room.` };
  } catch (error) {
    return { what, ok: false, text: `${dataDir} cannot be looked at: ${messageOf(error)}` };
  }
}

async function checkEdge(url: string): Promise<Finding[]> {
  try {
    const response = await ky(`${url}/api/health/live`, {
      retry: 0,
      timeout: EDGE_TIMEOUT_MS,
      redirect: "manual",
      throwHttpErrors: false,
    });
    await response.body?.cancel();
    const ok = response.status === 200;
    const advice = ok ? "" : ". Is CONTROL_PLANE_URL the address of the edge itself, without a path?";
    const edge = { what: "edge", ok, text: `${url} answers ${response.status}${advice}` };
    return [edge, checkClock(response.headers.get("date"), Date.now())];
  } catch (error) {
    const text = `${url} cannot be reached (${messageOf(error)}). Check CONTROL_PLANE_URL, DNS and firewall.`;
    return [{ what: "edge", ok: false, text }];
  }
}

/** Tokens have times in them: a clock that is wrong looks like a wrong password. */
export function checkClock(date: string | null, now: number): Finding {
  const what = "clock";
  const skewMs = date === null ? NaN : now - Date.parse(date);
  if (Number.isNaN(skewMs)) return { what, ok: true, text: "the edge does not tell its time" };
  const text = `${Math.round(Math.abs(skewMs) / 1_000)} s ${skewMs < 0 ? "behind" : "ahead of"} the edge`;
  if (Math.abs(skewMs) <= CLOCK_SKEW_MAX_MS) return { what, ok: true, text };
  return { what, ok: false, text: `${text}. Switch time synchronisation on, for example: timedatectl set-ntp true` };
}

/** The nearest directory above `path` that exists. */
async function existing(path: string): Promise<string> {
  for (let at = path;; at = dirname(at)) {
    if (at === dirname(at) || await Deno.stat(at).catch(() => null)) return at;
  }
}
