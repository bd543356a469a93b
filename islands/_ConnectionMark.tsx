/** How the reader's own connection to the edge is: apart from the machine, which may be fine meanwhile. */
import type { ReadonlySignal } from "@preact/signals";
import type { Connection } from "./_live.ts";

const CONNECTION: Record<Connection, string> = {
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  offline: "Offline",
};

export function ConnectionMark({ status }: { status: ReadonlySignal<Connection> }) {
  return (
    <span class={`connection connection-${status.value}`} role="status" title="Live updates">
      <span class="dot" aria-hidden="true" />
      <span class="connection-text">{CONNECTION[status.value]}</span>
    </span>
  );
}
