/** `hearth-agent serve` as a process of its own, as a person starts it. */
import { SELF_COMMAND } from "../coding/harness.ts";
import { KEY } from "./server.ts";

const MAIN = new URL("../../../agent/main.ts", import.meta.url).pathname;

export interface ServerProcess {
  child: Deno.ChildProcess;
  url: string;
  /** The address of its socket, with the key. */
  socketUrl: string;
  end: (signal: Deno.Signal) => Promise<void>;
}

/** Starts it in `folder`, with `s.db` as its database. Resolves when it is ready. */
export async function spawnServer(folder: string, env: Record<string, string> = {}): Promise<ServerProcess> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "serve"],
    env: {
      HEARTH_API_KEY: KEY,
      CODING_AGENT_COMMAND: [...SELF_COMMAND, "demo"].join(" "),
      DATABASE_URL: `file:${folder}/s.db`,
      PROJECT_DIR: folder,
      PORT: "0",
      PREWARM_POOL_SIZE: "1",
      ...env,
    },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const [url] = new TextDecoder().decode(value).match(/http:\S+/) ?? [];
  const end = async (signal: Deno.Signal) => {
    child.kill(signal);
    await child.status;
    await reader.cancel();
  };
  if (url) return { child, url, socketUrl: `${url.replace("http", "ws")}/ws/v1/chat?api_key=${KEY}`, end };
  await end("SIGKILL");
  throw new Error("the server did not start");
}
