/**
 * The time that views show, as one signal per island: first what the server wrote, so that hydration finds the same
 * text, then ticking in the reader's own zone.
 */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { createContext } from "preact";
import { useEffect } from "preact/hooks";

const TICK_MS = 10_000;

export interface Clock {
  now: number;
  /** In the browser, where the reader's zone is known. */
  local: boolean;
}

export const ClockContext = createContext<ReadonlySignal<Clock> | null>(null);

/** A clock that starts at `now` of the server and ticks while the page is open. */
export function useTicking(now: number, tickMs = TICK_MS): ReadonlySignal<Clock> {
  const clock = useSignal<Clock>({ now, local: false });
  useEffect(() => {
    const tick = () => {
      clock.value = { now: Date.now(), local: true };
    };
    tick();
    const timer = setInterval(tick, tickMs);
    return () => clearInterval(timer);
  }, []);
  return clock;
}
