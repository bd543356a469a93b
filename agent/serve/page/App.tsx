/** The whole page: the key first, then the sessions beside the one that is shown. */
import { useSignal } from "@preact/signals";
import { ClockContext, useTicking } from "../../../lib/ui/clock.ts";
import { AuthGate, forgetKey } from "./AuthGate.tsx";
import { ChatPanel } from "./ChatPanel.tsx";
import { start } from "./actions.ts";
import { Sidebar } from "./Sidebar.tsx";
import { StatusBar } from "./StatusBar.tsx";

export function App() {
  const clock = useTicking(Date.now(), 1_000);
  const isIn = useSignal(false);
  const isRefused = useSignal(false);
  const enter = (key: string, ticket: string) => {
    isIn.value = true;
    start(key, {
      ticket,
      onWrongKey: () => {
        forgetKey();
        isRefused.value = true;
        isIn.value = false;
      },
    });
  };
  if (!isIn.value) return <AuthGate isRefused={isRefused.value} onEnter={enter} />;
  return (
    <ClockContext.Provider value={clock}>
      <div class="engine">
        <Sidebar />
        <main class="engine-main">
          <ChatPanel now={clock.value.now} />
          <StatusBar />
        </main>
      </div>
    </ClockContext.Provider>
  );
}
