import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import {
  CLOUD_INIT_MAX_BYTES,
  cloudInit,
  type CloudInitSpec,
  type MachineSettings,
} from "../../../lib/providers/cloud_init.ts";
import { UNIT } from "../../../lib/providers/install_script.ts";
import { ProviderError } from "../../../lib/providers/provider.ts";
import { MACHINE, newSpec } from "./fixture.ts";

const document = z.object({
  ssh_pwauth: z.literal(false),
  write_files: z.array(z.strictObject({
    path: z.string(),
    owner: z.literal("root:root"),
    permissions: z.string(),
    content: z.string(),
  })),
  runcmd: z.array(z.array(z.string())),
}).strict();

const AGENT_ENV = "/etc/hearth/agent.env";
const INSTALL_ENV = "/etc/hearth/install.env";
const UNIT_PATH = "/etc/systemd/system/hearth-agent.service";
const SCRIPT = "/usr/local/sbin/hearth-install";

interface Read {
  text: string;
  files: Record<string, string>;
  permissions: Record<string, string>;
}

function read(spec: CloudInitSpec, settings: MachineSettings = MACHINE): Read {
  const text = cloudInit(spec, settings);
  assert(text.startsWith("#cloud-config\n"), text.slice(0, 40));
  const { write_files, runcmd } = document.parse(parse(text));
  assertEquals(runcmd, [[SCRIPT]]);
  assertEquals(write_files.map(({ path }) => path), [AGENT_ENV, INSTALL_ENV, UNIT_PATH, SCRIPT]);
  return {
    text,
    files: Object.fromEntries(write_files.map(({ path, content }) => [path, content])),
    permissions: Object.fromEntries(write_files.map(({ path, permissions }) => [path, permissions])),
  };
}

/** The variables of a file as a shell reads it, and nothing that it ran. */
async function readAsShell(content: string): Promise<Record<string, string>> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, "env"), content);
    const script =
      'set -a; . ./env; for each in $(sed "s/=.*//" env); do eval "printf \'%s=%s\\\\0\' $each \\"\\$$each\\""; done';
    const command = new Deno.Command("/bin/sh", {
      args: ["-c", script],
      cwd: folder,
      clearEnv: true,
      env: { PATH: "/usr/bin:/bin" },
    });
    const { success, stdout, stderr } = await command.output();
    assert(success, new TextDecoder().decode(stderr));
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["env"], "a value was run");
    const pairs = new TextDecoder().decode(stdout).split("\0").slice(0, -1);
    return Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("T013-1 the ids of project and chat session stand in the service's environment", async () => {
  const spec = newSpec();
  const variables = await readAsShell(read(spec).files[AGENT_ENV]!);
  assertEquals(variables.PROJECT_ID, spec.projectId!);
  assertEquals(variables.CHAT_SESSION_ID, spec.sessionId!);
});

Deno.test("T013-2 what is absent becomes an empty variable, never a word", async () => {
  const { files, text } = read(newSpec({ projectId: null, sessionId: null }));
  const variables = await readAsShell(files[AGENT_ENV]!);
  assertEquals(variables.PROJECT_ID, "");
  assertEquals(variables.CHAT_SESSION_ID, "");
  assert(!/undefined|null/.test(text), "an absent value was written out");
});

Deno.test("T013-3 the text stays within what providers take, and one that does not is refused", () => {
  const { text } = read(newSpec());
  assert(new TextEncoder().encode(text).length <= CLOUD_INIT_MAX_BYTES / 4, `${text.length} is more than expected`);
  const codingAgentPackages = Array.from({ length: 2_000 }, (_, i) => `some-coding-agent-${i}@1.0.0`);
  assertThrows(() => cloudInit(newSpec(), { ...MACHINE, codingAgentPackages }), ProviderError, "is the most");
});

Deno.test("T013-4 node, edge, token, packages and the agent's download stand where they belong", async () => {
  const spec = newSpec();
  const { files, permissions } = read(spec);
  const agent = await readAsShell(files[AGENT_ENV]!);
  assertEquals(agent, {
    NODE_ID: spec.nodeId,
    CONTROL_PLANE_URL: spec.controlPlaneUrl,
    BOOTSTRAP_TOKEN: spec.bootstrapToken,
    PROJECT_ID: spec.projectId!,
    CHAT_SESSION_ID: spec.sessionId!,
    NODE_HARD_LIFETIME_MS: "86400000",
    HEARTH_POWEROFF: "1",
    AGENT_DATA_DIR: "/var/lib/hearth-agent",
    HOME: "/var/lib/hearth-agent",
  });
  assertEquals(await readAsShell(files[INSTALL_ENV]!), {
    CODING_AGENT_PACKAGES: "@agentclientprotocol/claude-agent-acp@0.100.0",
    AGENT_URL_X64: MACHINE.agent.x64!.url,
    AGENT_SHA256_X64: MACHINE.agent.x64!.sha256,
    AGENT_URL_ARM64: "",
    AGENT_SHA256_ARM64: "",
  });
  assertEquals(permissions[AGENT_ENV], "0600", "the one-time token is for root alone");
  assertEquals(files[UNIT_PATH], UNIT);
});

Deno.test("no value can break out of the YAML, the environment files or the shell", async () => {
  const hostile = [
    `"; touch owned; echo "`,
    "$(touch owned) `touch owned` ${HOME}",
    `'"'"'; touch owned #`,
    "# comment: {a: [b]} - *c &d !e | > %f @g",
    '\\" \\\\ \\n trailing backslash \\',
    "Grüße, 世界 🎈 \u2028\u0085\u00a0\ufeff",
    "%n %i $$ ~ * ?",
  ];
  for (const value of hostile) {
    const spec = newSpec({ projectId: value, sessionId: value, bootstrapToken: value, controlPlaneUrl: value });
    const settings = {
      ...MACHINE,
      agent: { x64: { url: value, sha256: value }, arm64: null },
      codingAgentPackages: [value],
    };
    const { files, text } = read(spec, settings);
    // deno-lint-ignore no-control-regex
    assert(/^[\x0a\x20-\x7e]*$/.test(text), "only printable ASCII");
    const agent = await readAsShell(files[AGENT_ENV]!);
    assertEquals(
      [agent.PROJECT_ID, agent.CHAT_SESSION_ID, agent.BOOTSTRAP_TOKEN, agent.CONTROL_PLANE_URL],
      Array(4).fill(value),
    );
    const install = await readAsShell(files[INSTALL_ENV]!);
    assertEquals([install.AGENT_URL_X64, install.CODING_AGENT_PACKAGES], [value, value]);
  }
  for (const value of ["a\nrun: b", "a\r\nb", "a\0b", "\u001b[2J"]) {
    assertThrows(() => cloudInit(newSpec({ projectId: value }), MACHINE), ProviderError, "control character");
  }
});

Deno.test("the script is one that a shell can read", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(folder, "script"), read(newSpec()).files[SCRIPT]!);
    const { success, stderr } = await new Deno.Command("/bin/sh", { args: ["-n", join(folder, "script")] }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test({
  name: "systemd finds nothing wrong with the unit (skipped where there is no systemd-analyze)",
  ignore: !await isInstalled("systemd-analyze"),
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      // The unit as it is, but for the program, which must exist to be verified.
      const path = join(folder, "hearth-agent.service");
      await Deno.writeTextFile(path, UNIT.replace("/usr/local/bin/hearth-agent", "/bin/true"));
      const { success, stderr } = await new Deno.Command("systemd-analyze", { args: ["verify", "--man=no", path] })
        .output();
      const complaints = new TextDecoder().decode(stderr).split("\n").filter((line) => line.includes("hearth-agent"));
      assertEquals(complaints, []);
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});

Deno.test({
  name: "cloud-init's own schema accepts the text (skipped where there is no cloud-init)",
  ignore: !await isInstalled("cloud-init"),
  fn: async () => {
    const path = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      await Deno.writeTextFile(path, cloudInit(newSpec({ projectId: `"'$ 🎈` }), MACHINE));
      const { stdout, stderr } = await new Deno.Command("cloud-init", { args: ["schema", "--config-file", path] })
        .output();
      assertStringIncludes(new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr), "Valid");
    } finally {
      await Deno.remove(path);
    }
  },
});

async function isInstalled(program: string): Promise<boolean> {
  const folders = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  const found = await Promise.all(
    folders.map((folder) => Deno.stat(join(folder, program)).then(() => true, () => false)),
  );
  return found.includes(true);
}
