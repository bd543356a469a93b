/**
 * Counters, gauges and histograms of this process, written as Prometheus text. The catalogue below is all there is: no
 * name and no label comes from outside, so that their number has a limit.
 */

const SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900];
const MESSAGES = [1, 2, 5, 10, 25, 50, 100];
/** Series of one metric; more means a label that is not what it should be. */
const SERIES_MAX = 200;

const CATALOGUE = {
  hearth_messages_total: { type: "counter", help: "Messages of agents' batches: stored, or known already." },
  hearth_message_batch_size: { type: "histogram", help: "Messages in one batch.", buckets: MESSAGES },
  hearth_due_items_total: { type: "counter", help: "Due items handled, by kind and outcome." },
  hearth_sweeps_total: { type: "counter", help: "Steps of sweeps, by step and outcome." },
  hearth_sweep_mended_total: { type: "counter", help: "Things that sweeps put right, by step." },
  hearth_task_phase_seconds: {
    type: "histogram",
    help: "How long each phase took on the way from submit to the accepted prompt.",
    buckets: SECONDS,
  },
  hearth_node_assignments_total: { type: "counter", help: "Runs given a machine: warm, active (shared), or new." },
  hearth_servers_leaked_total: { type: "counter", help: "Servers at a provider that no record knew." },
  hearth_servers_reclaimed_total: { type: "counter", help: "Leaked servers that were destroyed." },
  hearth_reconcile_failures: { type: "gauge", help: "Failures in a row of comparing a provider's servers, the most." },
  hearth_nodes: { type: "gauge", help: "Machines that exist, by status." },
  hearth_live_sockets: { type: "gauge", help: "Pages that follow a topic over this process." },
} as const satisfies Record<string, { type: "counter" | "gauge" | "histogram"; help: string; buckets?: number[] }>;

export type MetricName = keyof typeof CATALOGUE;
type Labels = Record<string, string>;

interface Series {
  value: number;
  /** Of a histogram: how many were at most each bound, and how many there were. */
  counts: number[];
  count: number;
}

export class Metrics {
  readonly #series = new Map<MetricName, Map<string, Series>>();

  /** Adds to a counter. */
  count(name: MetricName, labels: Labels = {}, by = 1): void {
    const series = this.#find(name, labels);
    if (series) series.value += by;
  }

  /** Sets a gauge. */
  set(name: MetricName, labels: Labels, value: number): void {
    const series = this.#find(name, labels);
    if (series) series.value = value;
  }

  /** Forgets a gauge's series: what it counted may be gone. */
  clear(name: MetricName): void {
    this.#series.delete(name);
  }

  /** Adds a value to a histogram. */
  observe(name: MetricName, labels: Labels, value: number): void {
    const series = this.#find(name, labels);
    if (!series || !Number.isFinite(value)) return;
    series.value += value;
    series.count++;
    bucketsOf(name).forEach((bound, i) => {
      if (value <= bound) series.counts[i] = (series.counts[i] ?? 0) + 1;
    });
  }

  /** The text that a Prometheus server reads. */
  write(): string {
    const names = Object.keys(CATALOGUE) as MetricName[];
    return names.filter((name) => this.#series.has(name)).map((name) => this.#writeOne(name)).join("");
  }

  #writeOne(name: MetricName): string {
    const { type, help } = CATALOGUE[name];
    const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
    for (const [labels, series] of this.#series.get(name)!) {
      if (type !== "histogram") lines.push(`${name}${braces(labels)} ${series.value}`);
      else lines.push(...writeHistogram(name, labels, series));
    }
    return `${lines.join("\n")}\n`;
  }

  #find(name: MetricName, labels: Labels): Series | null {
    const key = Object.entries(labels).map(([label, value]) => `${label}="${escape(value)}"`).join(",");
    const all = this.#series.get(name) ?? new Map<string, Series>();
    this.#series.set(name, all);
    const known = all.get(key);
    if (known) return known;
    if (all.size >= SERIES_MAX) return null;
    const made = { value: 0, counts: bucketsOf(name).map(() => 0), count: 0 };
    all.set(key, made);
    return made;
  }
}

function bucketsOf(name: MetricName): readonly number[] {
  const metric = CATALOGUE[name];
  return "buckets" in metric ? metric.buckets : [];
}

function writeHistogram(name: MetricName, labels: string, series: Series): string[] {
  const bucket = (bound: string, count: number) =>
    `${name}_bucket${braces([labels, `le="${bound}"`].filter(Boolean).join(","))} ${count}`;
  return [
    ...bucketsOf(name).map((bound, i) => bucket(String(bound), series.counts[i] ?? 0)),
    bucket("+Inf", series.count),
    `${name}_sum${braces(labels)} ${series.value}`,
    `${name}_count${braces(labels)} ${series.count}`,
  ];
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
