/** Texts that are being written, kept for the tab: a reload, a crash of the page or a look at the board loses none. */
import { effect, type Signal, signal } from "@preact/signals";
import { readDraft, type TaskDraft } from "../lib/ui/task_draft.ts";

/** Fills `draft` with what was kept and keeps every change. The answer stops it. */
export function keepTaskDraft(projectId: string, draft: Signal<TaskDraft>): () => void {
  const key = `hearth:task:${projectId}`;
  const kept = readDraft(load(key));
  if (!draft.peek().description && kept.description) draft.value = kept;
  return effect(() => {
    const value = draft.value;
    store(key, value.description || value.priority || value.dependsOn.length ? JSON.stringify(value) : "");
  });
}

/** One text per session. */
export class PromptDrafts {
  readonly #texts = new Map<string, Signal<string>>();

  textOf(sessionId: string): Signal<string> {
    const known = this.#texts.get(sessionId);
    if (known) return known;
    const key = `hearth:prompt:${sessionId}`;
    const text = signal(load(key) ?? "");
    text.subscribe((value) => store(key, value));
    this.#texts.set(sessionId, text);
    return text;
  }
}

/** Storage may be absent (on the server), switched off or full: then the text lives as long as the page. */
function load(key: string): string | null {
  try {
    return typeof document === "undefined" ? null : sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    if (typeof document === "undefined") return;
    if (value) sessionStorage.setItem(key, value);
    else sessionStorage.removeItem(key);
  } catch {
    return;
  }
}
