/** What a coding agent's commands leave behind, with nothing replaced: it ends with the workspace. */
import { assert, assertEquals } from "@std/assert";
import { isAlive, readProcess } from "../../lib/processes.ts";
import { openScene, submit } from "./scene.ts";

/** Forks twice, leaves the session, wipes its environment, ignores signals, and says its pid in `file`. */
const daemon = (file: string) =>
  `(setsid env -i /bin/sh -c 'trap "" TERM HUP INT; echo $$ > "$0"; while :; do sleep 1; done' ${file} ` +
  "</dev/null >/dev/null 2>&1 &)";

Deno.test("a daemon that a command left behind is gone when its workspace is, by a cold and by a warm coding agent", async () => {
  await using scene = await openScene();
  const { live } = scene;
  const folder = await Deno.makeTempDir();
  try {
    for (const name of ["cold", "warm"]) {
      const file = `${folder}/${name}`;
      const description = `run ${daemon(file)}; until test -e ${file}.seen; do sleep 0.1; done`;
      const { taskId } = await submit(scene, description);
      const running = await live.task(taskId, "in_progress");
      const done = live.task(taskId, "completed", "failed");
      const left = await pidIn(file);
      assert(left, "the daemon lives while the task does");
      await Deno.writeTextFile(`${file}.seen`, "");
      assertEquals((await done).status, "completed");
      await live.workspace("stopped", ({ id }) => id === running.workspaceId);
      assertEquals(await isAlive(left), false);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** The process that wrote its pid into the file, as soon as it has. */
async function pidIn(file: string) {
  const deadline = performance.now() + 60_000;
  while (performance.now() < deadline) {
    const pid = Number(await Deno.readTextFile(file).catch(() => ""));
    const found = pid > 0 ? await readProcess(pid) : null;
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return null;
}
