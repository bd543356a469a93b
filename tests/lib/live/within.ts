/** A test that waits in vain has failed, and should say for what. */

const WAIT_MAX_MS = 60_000;

/** `work`, or an error that names what was waited for; whole processes may be given longer. */
export async function within<T>(what: string, work: Promise<T>, { maxMs = WAIT_MAX_MS } = {}): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), maxMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
