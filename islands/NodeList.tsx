/** Every machine with what it does now, its warm countdown ticking; read anew while the page is looked at. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useContext, useEffect } from "preact/hooks";
import { ClockContext, useTicking } from "../lib/ui/clock.ts";
import { NODE_STATUS, plural, VM_SIZE } from "../lib/ui/labels.ts";
import { Empty, Notice } from "../lib/ui/Notice.tsx";
import { Time } from "../lib/ui/Time.tsx";
import { duration, remaining } from "../lib/ui/time.ts";
import { type Node, nodePage } from "../lib/wire/node.ts";
import { call, sentenceOf } from "./_api.ts";

const REFRESH_MS = 10_000;
const COUNTDOWN_TICK_MS = 1_000;

export interface NodeListProps {
  nodes: Node[];
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
                <NodeCard node={each} />
              </li>
            ))}
          </ul>
        )}
    </ClockContext.Provider>
  );
}

function NodeCard({ node }: { node: Node }) {
  const beat = node.heartbeat;
  return (
    <article class="panel node" aria-label={`Machine ${node.id.slice(-8)}`}>
      <header class="node-head">
        <span class={`badge badge-node-${node.status}`}>{node.draining ? "Draining" : NODE_STATUS[node.status]}</span>
        <code title={node.id}>{node.id.slice(-8)}</code>
        <span class="muted">{`${VM_SIZE[node.vmSize]} · ${node.provider} · ${node.location}`}</span>
        {node.health === "unreachable" ? <span class="badge badge-failed">Unreachable</span> : null}
      </header>
      {node.errorMessage ? <Notice kind="error" title="This machine failed">{node.errorMessage}</Notice> : null}
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
        <Fact name="Dead letters" alarm={(beat?.deadLetters ?? 0) > 0}>{beat ? String(beat.deadLetters) : "–"}</Fact>
        <Fact name="Load">{beat ? beat.load.toFixed(2) : "–"}</Fact>
        <Fact name="Last heard">{beat ? <Time at={beat.at} /> : "never"}</Fact>
        <Fact name="Agent">{node.agentVersion ?? "–"}</Fact>
      </dl>
    </article>
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
