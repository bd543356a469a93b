/**
 * Every machine with what it does now, its warm countdown ticking; read anew while the page is looked at. It can be
 * drained, which waits for its tasks, and destroyed or, where it is the person's own, removed, which does not.
 */
import { type Signal, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useContext, useEffect } from "preact/hooks";
import { ClockContext, useTicking } from "../lib/ui/clock.ts";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { NODE_STATUS, plural, VM_SIZE } from "../lib/ui/labels.ts";
import { Empty, Notice } from "../lib/ui/Notice.tsx";
import { Time } from "../lib/ui/Time.tsx";
import { duration, remaining } from "../lib/ui/time.ts";
import { type Node, node as nodeSchema, nodePage, type OwnNode } from "../lib/wire/node.ts";
import { call, sentenceOf } from "./_api.ts";

const REFRESH_MS = 10_000;
const COUNTDOWN_TICK_MS = 1_000;

const OURS = { drain: "Give it no new work; it goes when it is empty", end: "Destroy" };
/** A person's own machine is only forgotten. */
const OWN = { drain: "Give it no new work", end: "Remove" };

export interface NodeListProps {
  nodes: OwnNode[];
  warnings: string[];
  now: number;
}

export default function NodeList(props: NodeListProps) {
  const clock = useTicking(props.now, COUNTDOWN_TICK_MS);
  const nodes = useSignal(props.nodes);
  const warnings = useSignal(props.warnings);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    const refresh = async () => {
      if (document.visibilityState !== "visible") return;
      try {
        const page = await call("/api/nodes", { answer: nodePage });
        [nodes.value, warnings.value] = [page.items, page.warnings];
        failure.value = null;
      } catch (error) {
        failure.value = sentenceOf(error);
      }
    };
    const timer = setInterval(() => void refresh(), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);

  return (
    <ClockContext.Provider value={clock}>
      {warnings.value.map((text) => <Notice kind="warning" title="Look at your provider" key={text}>{text}</Notice>)}
      {failure.value ? <Notice kind="warning" title="This list may be old">{failure.value}</Notice> : null}
      {nodes.value.length === 0
        ? <Empty title="No machines">One is started for you when you run a task, and removed when it is idle.</Empty>
        : (
          <ul class="nodes">
            {nodes.value.map((each) => (
              <li key={each.id}>
                <NodeCard node={each} nodes={nodes} />
              </li>
            ))}
          </ul>
        )}
    </ClockContext.Provider>
  );
}

function NodeCard({ node, nodes }: { node: OwnNode; nodes: Signal<OwnNode[]> }) {
  return (
    <article class="panel node" aria-label={`Machine ${node.id.slice(-8)}`}>
      <header class="node-head">
        <span class={`badge badge-node-${node.status}`}>{statusOf(node)}</span>
        <code title={node.id}>{node.id.slice(-8)}</code>
        <span class="muted">{placeOf(node)}</span>
        {node.health === "unreachable" ? <span class="badge badge-failed">Unreachable</span> : null}
        <Actions node={node} nodes={nodes} />
      </header>
      {node.errorMessage ? <Notice kind="error" title="This machine failed">{node.errorMessage}</Notice> : null}
      <Work node={node} />
      <Facts node={node} />
    </article>
  );
}

/** Where there is a choice of places the place is named. */
function placeOf({ vmSize, provider, location }: Node): string {
  return [VM_SIZE[vmSize], provider, ...provider === "hetzner" ? [location] : []].join(" · ");
}

function statusOf(node: Node): string {
  return node.draining && (node.status === "active" || node.status === "provisioning")
    ? "Draining"
    : NODE_STATUS[node.status];
}

/** What can be done by hand, for as long as the machine is not on its way out. */
function Actions({ node, nodes }: { node: OwnNode; nodes: Signal<OwnNode[]> }) {
  const busy = useSignal(false);
  const failure = useSignal<string | null>(null);
  if (node.status === "destroying" || node.status === "destroyed") return null;
  const act = async (path: string, method: "POST" | "DELETE") => {
    [busy.value, failure.value] = [true, null];
    try {
      const changed = await call(`/api/nodes/${node.id}${path}`, { method, answer: nodeSchema });
      nodes.value = nodes.value.map((each) => each.id === node.id ? { ...each, ...changed } : each);
    } catch (error) {
      failure.value = sentenceOf(error);
    }
    busy.value = false;
  };
  const held = node.claims.length > 0;
  const words = node.provider === "manual" ? OWN : OURS;
  return (
    <>
      <span class="node-actions">
        {node.draining ? null : (
          <button
            type="button"
            class="button small"
            title={words.drain}
            disabled={busy.value}
            onClick={() => void act("/drain", "POST")}
          >
            Drain
          </button>
        )}
        <ConfirmButton
          class="button small danger"
          question={held ? `${words.end} it and fail its tasks?` : `${words.end} it?`}
          disabled={busy.value}
          onConfirm={() => void act(held ? "?force=true" : "", "DELETE")}
        >
          {words.end}
        </ConfirmButton>
      </span>
      {failure.value ? <Notice kind="error" title="Nothing was changed">{failure.value}</Notice> : null}
    </>
  );
}

function Work({ node: { tasks, claims } }: { node: OwnNode }) {
  const others = claims.length - tasks.length;
  if (claims.length === 0) return null;
  return (
    <ul class="node-work" aria-label="Tasks on it">
      {tasks.map((task) => (
        <li key={task.id}>
          <a class="link clip" href={`/projects/${task.projectId}/chat/${task.sessionId}`}>{task.title}</a>
        </li>
      ))}
      {others > 0 ? <li class="muted">{plural(others, "other workspace")}</li> : null}
    </ul>
  );
}

function Facts({ node }: { node: OwnNode }) {
  const beat = node.heartbeat;
  return (
    <dl class="node-facts">
      <Fact name="Age">
        <Age since={node.createdAt} />
      </Fact>
      {node.costSoFar === null
        ? null
        : <Fact name="Cost so far">{`${node.costSoFar.toFixed(2)} (${node.priceHour!.toFixed(4)} an hour)`}</Fact>}
      <Fact name="Tasks">{String(node.claims.length)}</Fact>
      {node.warmUntil && node.status === "warm"
        ? (
          <Fact name="Kept warm">
            <Countdown until={node.warmUntil} />
          </Fact>
        )
        : null}
      <Fact name="Outbox">{beat ? plural(beat.outboxDepth, "row") : "–"}</Fact>
      <DeadLetters node={node} />
      {beat && beat.dropped > 0 ? <Fact name="Made room" alarm>{plural(beat.dropped, "message")}</Fact> : null}
      {beat && beat.heldLines > 0
        ? <Fact name="Refused by the edge" alarm>{plural(beat.heldLines, "workspace")}</Fact>
        : null}
      <Fact name="Load">{beat ? beat.load.toFixed(2) : "–"}</Fact>
      <Fact name="Last heard">{beat ? <Time at={beat.at} /> : "never"}</Fact>
      <Fact name="Agent">{node.agentVersion ?? "–"}</Fact>
    </dl>
  );
}

/** Those on the machine and those that it has handed over. */
function DeadLetters({ node }: { node: OwnNode }) {
  const onIt = node.heartbeat?.deadLetters ?? null;
  const count = (onIt ?? 0) + node.deadLettersKept;
  return (
    <Fact name="Dead letters" alarm={(onIt ?? 0) > 0}>
      {count > 0
        ? <a class="link" href={`/nodes/${node.id}/dead-letters`}>{String(count)}</a>
        : (onIt === null ? "–" : "0")}
    </Fact>
  );
}

function Fact({ name, alarm = false, children }: { name: string; alarm?: boolean; children: ComponentChildren }) {
  return (
    <div class={alarm ? "fact alarm" : "fact"}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Age({ since }: { since: string }) {
  const now = useContext(ClockContext)?.value.now ?? Date.parse(since);
  const age = Math.max(0, now - Date.parse(since));
  return <>{duration(age < 60_000 ? age : Math.floor(age / 60_000) * 60_000)}</>;
}

function Countdown({ until }: { until: string }) {
  const clock = useContext(ClockContext);
  const left = clock ? remaining(until, clock.value.now) : "";
  return <>{left ? `${left} left` : "ending now"}</>;
}
