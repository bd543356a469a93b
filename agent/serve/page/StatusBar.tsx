/** The connection, and the session that is shown: its id, how many messages it has and what it cost. */
import { plural } from "../../../lib/ui/labels.ts";
import { activeId, activeView, connection, type ConnectionStatus } from "./state.ts";

const WORDS: Record<ConnectionStatus, string> = {
  connected: "Connected",
  reconnecting: "Reconnecting…",
  disconnected: "Disconnected",
};

export function StatusBar() {
  const view = activeView();
  return (
    <footer class="engine-status">
      <span class={`engine-connection ${connection.value}`}>{WORDS[connection.value]}</span>
      {activeId.value ? <code class="engine-id" title={activeId.value}>{activeId.value}</code> : null}
      {view ? <span>{plural(view.messages.length, "message")}</span> : null}
      {view ? <span class="engine-cost">{`$${view.costUsd.toFixed(4)}`}</span> : null}
    </footer>
  );
}
