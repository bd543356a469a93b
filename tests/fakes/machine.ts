/**
 * A machine without a VM: a throw-away copy of this system's root (an overlay in a mount and process namespace of its
 * own) in which a setup is run as a new server would run it. The package managers are stubs, systemd is a stub that starts
 * a unit's program with its environment; everything else, the agent above all, is the real thing.
 */
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";

const STUBS: Record<string, string> = {
  "apt-get": `echo "apt-get $*" >>/calls`,
  sudo: `exec "$@"`,
  node: `echo v20.19.2`,
  // What an installed adapter leaves behind.
  npm: `echo "npm $*" >>/calls
printf '#!/bin/sh\\nexit 0\\n' >/usr/local/bin/claude-agent-acp
chmod 755 /usr/local/bin/claude-agent-acp`,
  systemctl: `echo "systemctl $*" >>/calls
[ "$1" = restart ] || exit 0
unit=/etc/systemd/system/$2
value() { sed -n "s/^$1=//p" "$unit"; }
state=/var/lib/$(value StateDirectory)
mkdir -p "$state"
chmod "$(value StateDirectoryMode)" "$state"
env -i PATH="$PATH" STATE_DIRECTORY="$state" sh -c 'set -a; . "$1"; set +a; exec $2' - "$(value EnvironmentFile)" "$(value ExecStart)" \\
  </dev/null >>/agent.log 2>&1 &`,
};

/** Runs in the namespace: makes the root, hides Deno, and does in it what cloud-init does last. */
const DRIVER = `set -e
mount -t tmpfs tmpfs "$1/space"
mkdir "$1/space/upper" "$1/space/work" "$1/space/root"
root=$1/space/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/space/upper,workdir=$1/space/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
rm -f "$root/usr/local/bin/deno" "$root/usr/bin/deno"
cp -a "$1/files/." "$root/"
: >"$root/calls"
: >"$root/agent.log"
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /bin/sh /boot-script </dev/null >"$1/output" 2>&1 || echo "boot failed: $?" >>"$1/output"
cp "$root/calls" "$1/calls"
mv "$1/output" "$1/done"
wait
exec sleep 600`;

const userData = z.object({
  write_files: z.array(z.object({ path: z.string(), permissions: z.string(), content: z.string() })),
  runcmd: z.array(z.array(z.string())),
});

export class Machine implements AsyncDisposable {
  readonly #folder: string;
  readonly #child: Deno.ChildProcess;

  private constructor(folder: string, child: Deno.ChildProcess) {
    this.#folder = folder;
    this.#child = child;
  }

  /** A server that comes up with this user data. */
  static async bootCloudInit(text: string): Promise<Machine> {
    const { write_files, runcmd } = userData.parse(parse(text));
    const script = runcmd.map((words) => words.map(quote).join(" ")).join("\n");
    const files = write_files.map(({ path, permissions, content }) => ({
      path,
      mode: parseInt(permissions, 8),
      content,
    }));
    return await Machine.#boot(script, files);
  }

  /** A machine on which somebody types this into a root shell. */
  static async bootShell(command: string): Promise<Machine> {
    return await Machine.#boot(command, []);
  }

  /** Whether this system can make such machines. */
  static async isPossible(): Promise<boolean> {
    if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
    const folder = await Deno.makeTempDir();
    try {
      const script = `mount -t tmpfs tmpfs "$1" && mkdir "$1/u" "$1/w" "$1/r" &&
        mount -t overlay overlay -o "lowerdir=/,upperdir=$1/u,workdir=$1/w" "$1/r" && command -v curl`;
      const args = ["--mount", "--pid", "--fork", "sh", "-c", script, "-", folder];
      return (await new Deno.Command("unshare", { args, stdout: "null", stderr: "null" }).output()).success;
    } catch {
      return false;
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }

  static async #boot(script: string, files: { path: string; mode: number; content: string }[]): Promise<Machine> {
    const folder = await Deno.makeTempDir({ prefix: "hearth-machine-" });
    await Deno.mkdir(join(folder, "space"));
    const stubs = Object.entries(STUBS).map(([name, body]) => ({
      path: `/usr/local/sbin/${name}`,
      mode: 0o755,
      content: `#!/bin/sh\n${body}\n`,
    }));
    for (
      const { path, mode, content } of [...stubs, ...files, { path: "/boot-script", mode: 0o700, content: script }]
    ) {
      const at = join(folder, "files", path);
      await Deno.mkdir(dirname(at), { recursive: true });
      await Deno.writeTextFile(at, content);
      await Deno.chmod(at, mode);
    }
    const args = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", DRIVER, "-", folder];
    const child = new Deno.Command("unshare", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    return new Machine(folder, child);
  }

  /** What the setup printed, once it is done. */
  async booted(): Promise<string> {
    const done = join(this.#folder, "done");
    const watcher = Deno.watchFs(this.#folder, { recursive: false });
    try {
      const known = await Deno.readTextFile(done).catch(() => null);
      if (known !== null) return known;
      for await (const { paths } of watcher) if (paths.includes(done)) break;
      return await Deno.readTextFile(done);
    } finally {
      watcher.close();
    }
  }

  /** The calls of the stubs, in order. */
  async calls(): Promise<string[]> {
    return (await Deno.readTextFile(join(this.#folder, "calls"))).trim().split("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With unshare everything in its namespace goes; a gentler signal it keeps to itself.
    this.#child.kill("SIGKILL");
    await this.#child.status;
    await Deno.remove(this.#folder, { recursive: true });
  }
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
