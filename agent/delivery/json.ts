/** Reading JSON that somebody else wrote: what is none becomes null, and a schema says what the rest is. */

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
