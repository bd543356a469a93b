/**
 * JSON lines on standard error, one object an event. Values that look like a key or a token are replaced, and so is
 * everything under a name that holds secrets, so that a careless field never prints one.
 */
const LEVELS = { debug: 10, info: 20, warn: 30, error: 40, critical: 50 } as const;
export type LogLevel = keyof typeof LEVELS;
export const LOG_LEVELS = Object.keys(LEVELS) as [LogLevel, ...LogLevel[]];

type Fields = Record<string, unknown>;

const SECRET_NAME = /token|secret|password|authorization|cookie|api_?key|credential/i;
/** API keys, JWTs, bearer headers, well-known providers' keys, and passwords inside an address. */
const SECRET_TEXT =
  /hk_[\w-]{8,}|eyJ[\w-]{10,}\.[\w-]+\.[\w-]+|Bearer\s+[\w.~+/-]{8,}=*|sk-[\w-]{12,}|gh[pousr]_\w{20,}|glpat-[\w-]{15,}|(?<=:\/\/)[^/\s:@]*:[^/\s@]+(?=@)/g;
const TEXT_MAX = 4_000;

export interface Logger {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  critical(event: string, fields?: Fields): void;
  /** A logger whose lines all carry `fields`. */
  with(fields: Fields): Logger;
}

/** A logger that writes lines of at least `level` with `write` (default: standard error). */
export function createLogger(
  level: LogLevel,
  write: (line: string) => void = writeToStderr,
  bound: Fields = {},
): Logger {
  const emit = (name: LogLevel) => (event: string, fields: Fields = {}) => {
    if (LEVELS[name] < LEVELS[level]) return;
    write(
      JSON.stringify({ timestamp: new Date().toISOString(), level: name, event, ...clean({ ...bound, ...fields }) }),
    );
  };
  return {
    debug: emit("debug"),
    info: emit("info"),
    warn: emit("warn"),
    error: emit("error"),
    critical: emit("critical"),
    with: (fields) => createLogger(level, write, { ...bound, ...fields }),
  };
}

/** `text` without anything that looks like a key, a token or a password. */
export function scrub(text: string): string {
  return text.replace(SECRET_TEXT, "[secret]");
}

function clean(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map((
      [name, value],
    ) => [name, SECRET_NAME.test(name) && value ? "[secret]" : cleanValue(value)]),
  );
}

function cleanValue(value: unknown): unknown {
  if (typeof value === "string") return scrub(value.slice(0, TEXT_MAX));
  if (value instanceof Error) return cleanError(value);
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.slice(0, 50).map(cleanValue);
  if (value && typeof value === "object") return clean(value as Fields);
  return value;
}

function cleanError(error: Error): Fields {
  const stack = error.stack?.split("\n").slice(0, 8).join("\n") ?? "";
  return { name: error.name, message: scrub(error.message.slice(0, TEXT_MAX)), stack: scrub(stack) };
}

const encoder = new TextEncoder();

function writeToStderr(line: string): void {
  Deno.stderr.writeSync(encoder.encode(line + "\n"));
}
