/**
 * Search among the sessions: what the page has is filtered as one types; what it does not have is asked of the edge
 * shortly after the last key. An answer to an older text is dropped.
 */
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { findSessions } from "../lib/ui/commands.ts";
import { pageOf } from "../lib/wire/common.ts";
import { type Session, session } from "../lib/wire/session.ts";
import { call } from "./_api.ts";

/** A pause in typing; shorter would ask for every letter. */
const PAUSE_MS = 250;
const QUERY_MAX = 200;
const FOUND_MAX = 50;

export class SessionSearch {
  readonly text = signal("");
  readonly busy = signal(false);
  /** The sessions to show: all without a text, else those that fit. */
  readonly sessions: ReadonlySignal<Session[]>;
  readonly #found = signal<readonly Session[]>([]);
  readonly #path: string;

  constructor(projectId: string, known: ReadonlySignal<Session[]>) {
    this.#path = `/api/projects/${projectId}/sessions`;
    this.sessions = computed(() => {
      if (!this.text.value.trim()) return known.value;
      const here = findSessions(known.value, this.text.value);
      const ids = new Set(known.value.map((each) => each.id));
      return [...here, ...this.#found.value.filter((each) => !ids.has(each.id))];
    });
  }

  /** Asks the edge as the text changes. The answer ends it. */
  start(): () => void {
    return effect(() => {
      const q = this.text.value.trim().slice(0, QUERY_MAX);
      this.#found.value = [];
      this.busy.value = q !== "";
      if (!q) return;
      const asking = new AbortController();
      const timer = setTimeout(() => void this.#ask(q, asking.signal), PAUSE_MS);
      return () => {
        clearTimeout(timer);
        asking.abort();
      };
    });
  }

  async #ask(q: string, signal: AbortSignal): Promise<void> {
    const path = `${this.#path}?q=${encodeURIComponent(q)}&limit=${FOUND_MAX}`;
    // Without an answer the page still shows what it has itself.
    const page = await call(path, { answer: pageOf(session), signal }).catch(() => null);
    if (signal.aborted) return;
    this.#found.value = page?.items ?? [];
    this.busy.value = false;
  }
}
