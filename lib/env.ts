/**
 * Reading configuration from an environment: every value has a schema, all problems are told in one message, and
 * values that are set to the empty string count as unset. `Deno.env` itself is read in the two config modules only.
 */
import { z } from "zod";

export type Environment = Record<string, string | undefined>;

export class ConfigError extends Error {
  override name = "ConfigError";
}

/** A duration or an amount: a whole number of at least `min`. */
export function amount(fallback: number, min = 0) {
  return z.coerce.number("must be a number").int("must be a whole number").min(min).default(fallback);
}

/** A switch: 1, true, yes, on, or 0, false, no, off. */
export function flag(fallback: boolean) {
  return z.enum(["1", "0", "true", "false", "yes", "no", "on", "off"]).transform((word) =>
    ["1", "true", "yes", "on"].includes(word)
  ).default(fallback);
}

/** Parses `environment` by `schema`. Throws one ConfigError that names every bad variable; values are not repeated. */
export function readEnv<T extends z.ZodObject>(schema: T, environment: Environment): z.output<T> {
  const given = Object.fromEntries(
    Object.keys(schema.shape).map((name) => [name, environment[name] === "" ? undefined : environment[name]]),
  );
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
  throw new ConfigError(`The configuration has ${lines.length} problem(s):\n${lines.join("\n")}`);
}
