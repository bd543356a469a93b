/**
 * A wall clock that is wrong by as much as a file says, for the process that imports or preloads this: the file named by
 * CHAOS_CLOCK holds milliseconds and is looked at all the time. Timers and `performance.now()` go on as they did, like
 * those of a machine whose clock is set.
 */
const LOOK_MS = 25;
const RealDate = Date;
const file = Deno.env.get("CHAOS_CLOCK");
let skewMs = 0;

function readSkew(): void {
  try {
    skewMs = Number(Deno.readTextFileSync(file!)) || 0;
  } catch {
    // Not written, or being written: it stays as it is.
  }
}

if (file) {
  readSkew();
  Deno.unrefTimer(setInterval(readSkew, LOOK_MS));
  globalThis.Date = class extends RealDate {
    constructor(value?: number | string | Date) {
      super(value ?? RealDate.now() + skewMs);
    }
    static override now(): number {
      return RealDate.now() + skewMs;
    }
  } as DateConstructor;
}
