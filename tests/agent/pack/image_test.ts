/** The container image without a container engine: its Dockerfile linted, its steps done in a throw-away folder. */
import { assert, assertEquals } from "@std/assert";
import { DockerfileParser } from "dockerfile-ast";
import { validate } from "dockerfile-utils";
import { launchBrowser } from "../../browser.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const KEY = "key-of-the-container";
const BUILD_MAX_MS = 5 * 60_000;
const START_MAX_MS = 90_000;
/** What alters the base image, which is not here; the rest of the steps is. */
const OF_THE_BASE = /^(?:npm install --global|apt-get|chown) /;

interface Step {
  keyword: string;
  text: string;
}

/** The steps of each stage, with continued lines joined. */
function readStages(dockerfile: string): Step[][] {
  const lines = dockerfile.split("\n");
  const stages: Step[][] = [];
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    const { start, end } = instruction.getRange();
    const whole = lines.slice(start.line, end.line + 1).join("\n").replaceAll(/\\\n\s*/g, "").trim();
    const keyword = instruction.getKeyword();
    if (keyword === "FROM") stages.push([]);
    stages.at(-1)?.push({ keyword, text: whole.slice(keyword.length).trim() });
  }
  return stages;
}

const textsOf = (stage: Step[], keyword: string) =>
  stage.filter((step) => step.keyword === keyword).map(({ text }) => text);

/** Everything that is wrong with a Dockerfile: the linter's complaints, and rules of our own. */
function complaintsOf(dockerfile: string): string[] {
  const stages = readStages(dockerfile);
  const [last, all] = [stages.at(-1) ?? [], stages.flat()];
  const runs = textsOf(all, "RUN");
  const packages = [...runs, ...textsOf(all, "ARG")].flatMap((text) =>
    text.includes("npm install") || text.includes("PACKAGES") ? text.match(/[@\w./-]+@\S+/g) ?? [] : []
  );
  const rules: [boolean, string][] = [
    [stages.length >= 2, "has a stage for building"],
    [
      textsOf(all, "FROM").every((from) => /:\S*\d/.test(from) && !from.includes(":latest")),
      "names versions of its bases",
    ],
    [/^(?!root\b|0\b)\w+/.test(textsOf(last, "USER").at(-1) ?? ""), "runs as somebody who is not root"],
    [textsOf(last, "HEALTHCHECK").some((text) => text.includes("/api/v1/health/live")), "checks its health"],
    [textsOf(last, "ENTRYPOINT").every((text) => text.startsWith("[")), "starts without a shell between"],
    [textsOf(all, "ADD").length === 0, "copies, and adds nothing by address"],
    [
      ![...textsOf(all, "ENV"), ...textsOf(all, "ARG")].some((text) => /(?:KEY|TOKEN|SECRET|PASSWORD)\w*\b/.test(text)),
      "holds no secret",
    ],
    [
      runs.every((run) =>
        !run.includes("apt-get install") ||
        (run.includes("--no-install-recommends") && run.includes("apt-get update") &&
          run.includes("rm -rf /var/lib/apt/lists"))
      ),
      "leaves no package lists behind",
    ],
    [
      packages.length > 0 && packages.every((name) => /@\d+\.\d+\.\d+"?$/.test(name)),
      "takes packages in exact versions",
    ],
  ];
  const broken = rules.filter(([holds]) => !holds).map(([, rule]) => `not so: ${rule}`);
  return [
    ...validate(dockerfile).map(({ message }) => typeof message === "string" ? message : message.value),
    ...broken,
  ];
}

const readDockerfile = () => Deno.readTextFile(`${ROOT}agent/pack/Dockerfile`);

Deno.test("the Dockerfile passes its linter and our rules, and neither is blind", async () => {
  const dockerfile = await readDockerfile();
  assertEquals(complaintsOf(dockerfile), []);
  const planted: [string, string][] = [
    ["USER node", ""],
    ["USER node", "USER root"],
    ["COPY static static", "COPPY static static"],
    ["COPY lib lib", "ADD lib lib"],
    ["EXPOSE 8000", "EXPOSE all"],
    [" --no-install-recommends", ""],
    ["node:22-bookworm-slim\n", "node:latest\n"],
    ["deno@2.9.6", "deno@latest"],
    ["PORT=8000", "API_KEY=8000"],
    ["HEALTHCHECK", "LABEL check="],
    ['ENTRYPOINT ["tini", "--", "hearth-agent"]', "ENTRYPOINT hearth-agent"],
  ];
  for (const [from, to] of planted) {
    assert(dockerfile.includes(from), from);
    assert(complaintsOf(dockerfile.replace(from, to)).length > 0, `${from} → ${to}`);
  }
});

Deno.test("only what the image is built from reaches the builder", async () => {
  const ignore = await Deno.readTextFile(`${ROOT}agent/pack/Dockerfile.dockerignore`);
  const taken = ignore.split("\n").filter((line) => line.startsWith("!")).map((line) => line.slice(1));
  const copied = textsOf(readStages(await readDockerfile())[0] ?? [], "COPY").flatMap((text) =>
    text.split(" ").slice(0, -1)
  );
  assert(ignore.split("\n").includes("*"));
  assertEquals(taken.toSorted(), copied.toSorted());
});

/** Does the steps of the build stage below `folder`, which stands for the root of its image. */
async function build(folder: string, stage: Step[]): Promise<void> {
  let place = folder;
  const signal = AbortSignal.timeout(BUILD_MAX_MS);
  for (const { keyword, text } of stage) {
    if (keyword === "WORKDIR") await Deno.mkdir(place = `${folder}${text}`, { recursive: true });
    if (keyword === "COPY") {
      await sh(`cp -R ${text.split(" ").slice(0, -1).map((name) => ROOT + name).join(" ")} .`, { place, signal });
    }
    if (keyword === "RUN" && !OF_THE_BASE.test(text)) {
      await sh(text.replace(" /image", ` ${folder}/image`), { place, signal });
    }
  }
}

async function sh(command: string, { place, signal }: { place: string; signal: AbortSignal }): Promise<void> {
  const PATH = `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`;
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", command],
    cwd: place,
    env: { PATH },
    stdin: "null",
    signal,
  }).output();
  assertEquals(code, 0, `${command}\n${new TextDecoder().decode(stderr)}`);
}

interface Container extends AsyncDisposable {
  url: string;
  env: Record<string, string>;
}

/** Starts what the image starts, from its files at `root`, as its user where that is possible. */
async function start(root: string, stage: Step[]): Promise<Container> {
  const pairs = textsOf(stage, "ENV").flatMap((text) => [...text.matchAll(/(\w+)=(\S+)/g)]);
  const given = Object.fromEntries(pairs.map(([, name, value]) => [name ?? "", value ?? ""]));
  const here = (path = "") => path.replace(/\/(data|work)\b/, `${root}/$1`);
  const env: Record<string, string> = {
    ...given,
    DATABASE_URL: here(given.DATABASE_URL),
    PROJECT_DIR: here(given.PROJECT_DIR),
    HOST: "127.0.0.1",
    PORT: "0",
    PATH: `${root}/usr/local/bin:/usr/bin:/bin`,
    HOME: `${root}/work`,
    HEARTH_API_KEY: KEY,
  };
  const [entry, command] = [textsOf(stage, "ENTRYPOINT").at(-1), textsOf(stage, "CMD").at(-1)];
  const argv = [entry, command].flatMap((text) => JSON.parse(text ?? "[]")).filter((word) =>
    word !== "tini" && word !== "--"
  );
  const user = Deno.uid() === 0 ? { uid: 1000, gid: 1000 } : {};
  const [program, ...args] = argv;
  const child = new Deno.Command(`${root}/usr/local/bin/${program}`, {
    args,
    env,
    clearEnv: true,
    cwd: here(textsOf(stage, "WORKDIR").at(-1)),
    ...user,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [stdout, stderr] = [child.stdout.getReader(), child.stderr.getReader()];
  const timer = setTimeout(() => child.kill("SIGKILL"), START_MAX_MS);
  const told = (async () => {
    const decoder = new TextDecoder();
    let text = "";
    for (let read = await stderr.read(); !read.done; read = await stderr.read()) text += decoder.decode(read.value);
    return text;
  })();
  const { value } = await stdout.read();
  clearTimeout(timer);
  const url = new TextDecoder().decode(value).match(/http:\S+/)?.[0];
  if (!url) throw new Error(`the container's program did not start: ${await told}`);
  return {
    url,
    env: { ...env, PORT: new URL(url).port },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await stdout.cancel();
      await told;
    },
  };
}

Deno.test({
  name: "the image's steps without a container engine",
  // Playwright keeps timers and pipes of its own.
  sanitizeOps: false,
  sanitizeResources: false,
  fn: async (t) => {
    const folder = await Deno.makeTempDir();
    const [building = [], last = []] = readStages(await readDockerfile());
    const root = `${folder}/image`;
    try {
      await t.step("TASK-017-AC1 the build's steps end well within five minutes", async () => {
        await build(folder, building);
        await Deno.chmod(folder, 0o755);
        if (Deno.uid() === 0) { for (const name of ["data", "work"]) await Deno.chown(`${root}/${name}`, 1000, 1000); }
        assertEquals(textsOf(last, "COPY"), ["--from=build /image/ /"]);
      });
      await using container = await start(root, last);

      await t.step("TASK-017-AC2 with the needed variables it starts, and its health check is content", async () => {
        assertEquals((await fetch(`${container.url}/api/v1/health/live`).then((answer) => answer.json())).status, "ok");
        const check = textsOf(last, "HEALTHCHECK").join().match(/CMD (\[.*\])$/)?.[1];
        const [program, ...args] = JSON.parse(check ?? "[]");
        const checked = (PORT: string) => new Deno.Command(program, { args, env: { ...container.env, PORT } }).output();
        assertEquals((await checked(container.env.PORT!)).success, true);
        assertEquals((await checked("1")).success, false);
      });

      await t.step("TASK-017-AC3 a browser opens the page at its port, and a session answers", async () => {
        await using browser = await launchBrowser();
        const page = await browser.newPage();
        await page.goto(container.url);
        await page.getByLabel("API key").fill(KEY);
        await page.getByRole("button", { name: "Sign in" }).click();
        await page.getByRole("button", { name: "New Session", exact: true }).click();
        await page.locator(".engine-id").waitFor();
        await page.getByRole("textbox", { name: "Follow-up to this session" }).fill("say from the container");
        await page.getByRole("textbox", { name: "Follow-up to this session" }).press("Enter");
        await page.getByRole("log").locator(".message-assistant", { hasText: "from the container" }).waitFor();
      });
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
