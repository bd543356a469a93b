/**
 * What a command of `deno task admin` is given and gives back. Commands print nothing themselves: what they return goes
 * to standard output and what they note to standard error, so that a script can use the one and a person sees both.
 */
import type { Edge } from "../edge.ts";
import { readUserByLogin, type UserRecord } from "../store/accounts.ts";

import { isUuid } from "../ids.ts";

/** The call itself is wrong: exit code 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The call is right, but what it names is not there or cannot be done: exit code 1. */
export class Refusal extends Error {
  override name = "Refusal";
}

export interface CommandCall {
  edge: Edge;
  /** What follows the name of the command, without options. */
  words: string[];
  options: ReadonlyMap<string, string>;
}

export interface CommandResult {
  /** For standard output. */
  text: string;
  /** What comes next, in words for a person: for standard error. */
  note?: string;
  /** Not all of it could be done: exit code 1. */
  failed?: boolean;
}

/** The only word of a call. Throws UsageError with `what` is missing. */
export function requireWord({ words }: CommandCall, what: string): string {
  const [word, ...rest] = words;
  if (word === undefined) throw new UsageError(`${what} is missing.`);
  if (rest.length > 0) throw new UsageError(`"${printable(rest[0]!)}" is one word too many.`);
  return word;
}

/** The only word of a call, which names something by its id. */
export function requireId(call: CommandCall, what: string): string {
  const id = requireWord(call, `The id of the ${what}`).toLowerCase();
  if (isUuid(id)) return id;
  throw new UsageError(`"${printable(id)}" is not an id. Copy it from \`deno task admin ${what}s list\`.`);
}

export async function requireUser(edge: Edge, login: string): Promise<UserRecord> {
  const user = await readUserByLogin(edge.store, login);
  if (user) return user;
  throw new Refusal(`There is no user "${printable(login)}". \`deno task admin users list\` shows who there is.`);
}

/** Text of others without what would steer a terminal. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, "\u{fffd}");
}

/** Rows as `--json` has them, or in columns below their names. */
export function formatList(call: CommandCall, rows: Record<string, string | number | boolean | null>[]): CommandResult {
  if (call.options.has("json")) return { text: JSON.stringify(rows, null, 2) };
  if (rows.length === 0) return { text: "", note: "There are none." };
  const names = Object.keys(rows[0]!);
  const lines = [names.map((name) => name.toUpperCase()), ...rows.map((row) => names.map((name) => toCell(row[name])))];
  const widths = names.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)));
  return { text: lines.map((line) => line.map((cell, i) => cell.padEnd(widths[i]!)).join("  ").trimEnd()).join("\n") };
}

function toCell(value: string | number | boolean | null | undefined): string {
  if (value === null || value === undefined || value === "") return "-";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return printable(String(value));
}
