/** A moment as relative time, the exact one on hover. */
import { useContext } from "preact/hooks";
import { ClockContext } from "./clock.ts";
import { exactTime, relativeTime } from "./time.ts";

export function Time({ at }: { at: string }) {
  const clock = useContext(ClockContext)?.value;
  return (
    <time class="time" dateTime={at} title={exactTime(at, clock?.local ?? false)}>
      {clock ? relativeTime(at, clock.now) : at.slice(0, 10)}
    </time>
  );
}
