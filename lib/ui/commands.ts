/** What the command menu offers and how a typed text finds it. Pure. */
import type { Session } from "../wire/session.ts";
import type { IconName } from "./Icon.tsx";

export interface Command {
  id: string;
  label: string;
  /** Further words by which it is found, and what is shown beside it. */
  hint: string;
  icon: IconName;
  run: () => void;
}

/** More than fit on a screen help nobody. */
const SHOWN_MAX = 50;

/**
 * The commands in which every word of `text` occurs, those whose label begins with it first. Without a text all, as
 * they are.
 */
export function findCommands(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return commands.slice(0, SHOWN_MAX);
  const found = commands.filter((command) => {
    const all = `${command.label} ${command.hint}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
  const begins = (command: Command) => command.label.toLowerCase().startsWith(words[0]!) ? 0 : 1;
  return found.sort((a, b) => begins(a) - begins(b)).slice(0, SHOWN_MAX);
}

/** Sessions whose topic or task title holds every word of `text`: at once, before the edge has answered. */
export function findSessions(sessions: readonly Session[], text: string): Session[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [...sessions];
  return sessions.filter((session) => {
    const all = `${session.topic ?? ""} ${session.task?.title ?? ""}`.toLowerCase();
    return words.every((word) => all.includes(word));
  });
}
