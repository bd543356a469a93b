/** What is known of a run beside its messages: outcome, how long each phase took, and the machine it ran on. */
import { useContext } from "preact/hooks";
import type { Node } from "../wire/node.ts";
import type { Project } from "../wire/project.ts";
import type { Task } from "../wire/task.ts";
import { ClockContext } from "./clock.ts";
import { CopyButton } from "./CopyButton.tsx";
import { Icon } from "./Icon.tsx";
import { cost, STEP } from "./labels.ts";
import { phasesOf, totalMs } from "./phases.ts";
import { Popover } from "./Popover.tsx";
import { duration } from "./time.ts";
import { isLive } from "./views.ts";

export interface RunFactsProps {
  task: Task;
  node: Node | null;
  /** The project's settings, for what a run may cost and take. */
  settings: Project["settings"];
}

export function RunFacts({ task, node, settings }: RunFactsProps) {
  const { maxCostUsdPerRun: most, maxMinutesPerRun: minutes } = settings;
  const limit = typeof most === "number" ? ` of ${cost(most)}` : "";
  const spent = cost(task.costUsd) || (limit && "$0");
  return (
    <>
      <Phases task={task} />
      {typeof minutes === "number" && isLive(task) ? <span class="limit">{`of ${minutes} min`}</span> : null}
      {spent ? <span title="Cost of this run">{`${spent}${limit}`}</span> : null}
      {task.run > 1 ? <span>{`Run ${task.run}`}</span> : null}
      {task.outputBranch
        ? (
          <span class="branch">
            <Icon name="branch" />
            <code title={task.outputBranch}>{task.outputBranch}</code>
            <CopyButton text={task.outputBranch} label="Copy the branch name" />
          </span>
        )
        : null}
      {task.outputCommit ? <code class="commit" title={task.outputCommit}>{task.outputCommit.slice(0, 8)}</code> : null}
      {task.outputPrUrl?.startsWith("https://")
        ? <a class="link" href={task.outputPrUrl} target="_blank" rel="noopener noreferrer">Pull request</a>
        : null}
      {task.nodeId ? <Machine nodeId={task.nodeId} node={node} /> : null}
    </>
  );
}

function Phases({ task }: { task: Task }) {
  const clock = useContext(ClockContext);
  const phases = phasesOf(task, clock?.value.now ?? Date.parse(task.updatedAt));
  if (phases.length === 0) return null;
  const total = duration(totalMs(phases));
  return (
    <Popover
      label={isLive(task) ? `for ${total}` : `took ${total}`}
      title="How long each phase took"
      class="fact-button"
    >
      {() => (
        <dl class="phases">
          {phases.map(({ step, ms, current }) => (
            <div class={current ? "phase current" : "phase"} key={step}>
              <dt>{STEP[step]}</dt>
              <dd>{duration(ms)}</dd>
            </div>
          ))}
        </dl>
      )}
    </Popover>
  );
}

/** The machine, and whether it is heard of: apart from the reader's own connection, which may be fine meanwhile. */
function Machine({ nodeId, node }: { nodeId: string; node: Node | null }) {
  const lost = node?.health === "unreachable";
  return (
    <a class={lost ? "machine lost" : "machine"} href="/nodes" title={`Machine ${nodeId}`}>
      <Icon name="server" />
      <code>{nodeId.slice(-8)}</code>
      {lost ? <span>Unreachable</span> : null}
    </a>
  );
}
