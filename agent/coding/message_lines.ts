/**
 * Lets through only the lines of a coding agent's output that may be messages. What else a program prints there would
 * be answered with an error each, into a pipe that it may not be reading: then both would wait for ever.
 */
const NEWLINE = 10;
const BRACE = 123;
const BLANKS = new Set([9, 13, 32]);

/** Lines that begin with a brace, as bytes; they may be cut anywhere. */
export function messageLines(): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let line: "begins" | "kept" | "dropped" = "begins";
  return new TransformStream({
    transform(chunk, controller) {
      for (let at = 0; at < chunk.length;) {
        if (line === "begins") {
          while (at < chunk.length && (BLANKS.has(chunk[at]!) || chunk[at] === NEWLINE)) at++;
          if (at === chunk.length) return;
          line = chunk[at] === BRACE ? "kept" : "dropped";
        }
        const newline = chunk.indexOf(NEWLINE, at);
        const end = newline === -1 ? chunk.length : newline + 1;
        if (line === "kept") controller.enqueue(chunk.subarray(at, end));
        if (newline !== -1) line = "begins";
        at = end;
      }
    },
  });
}
