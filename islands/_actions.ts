/**
 * What the buttons of the project page do: one call each, its answer put into the state at once, its failure told in
 * a toast. The live socket brings the same change again, which changes nothing.
 */
import { type Signal, signal } from "@preact/signals";
import { newId } from "../lib/ids.ts";
import type { Toast } from "../lib/ui/Notice.tsx";
import { bodyOf, type TaskDraft } from "../lib/ui/task_draft.ts";
import type { SubmitFailure, SubmitKind } from "../lib/ui/TaskForm.tsx";
import { message } from "../lib/wire/message.ts";
import { type Prompt, prompt } from "../lib/wire/session.ts";
import { submittedTask, type Task, task } from "../lib/wire/task.ts";
import { workspace } from "../lib/wire/workspace.ts";
import { ApiError, call, sentenceOf } from "./_api.ts";
import type { ProjectStore } from "./_project.ts";

const TOAST_MS = 8_000;
const TOASTS_MAX = 4;

export class ProjectActions {
  readonly toasts: Signal<Toast[]> = signal([]);
  /** Tasks for which a call is under way. */
  readonly busy: Signal<ReadonlySet<string>> = signal(new Set());
  readonly #store: ProjectStore;
  readonly #base: string;
  /** The key of a task that is being sent stays the same until it was taken or was changed. */
  #sending: { key: string; body: string } = { key: "", body: "" };
  #prompt: { messageId: string; text: string } = { messageId: "", text: "" };
  #toastId = 0;

  constructor(store: ProjectStore) {
    this.#store = store;
    this.#base = `/api/projects/${store.projectId}`;
  }

  /** Creates a task, and for Run Now shows its session at once. Answers why it was not taken, or null. */
  async submit(kind: SubmitKind, draft: TaskDraft): Promise<SubmitFailure | null> {
    const body = bodyOf(draft);
    const path = kind === "run" ? `${this.#base}/tasks/submit` : `${this.#base}/tasks`;
    const sending = { method: "POST", body, idempotencyKey: this.#keyFor(`${path} ${JSON.stringify(body)}`) } as const;
    try {
      if (kind === "run") {
        const { taskId, sessionId } = await call(path, { ...sending, answer: submittedTask });
        this.#store.select(sessionId);
        void this.#readTask(taskId);
      } else {
        this.#store.dispatch({ type: "task", task: await call(path, { ...sending, answer: task }) });
        this.toast("info", "Saved to the backlog. You find it on the board.");
      }
      this.#sending = { key: "", body: "" };
      return null;
    } catch (error) {
      this.toast("error", sentenceOf(error));
      return failureOf(error);
    }
  }

  run(taskId: string): Promise<void> {
    return this.#change(taskId, "run");
  }

  /** A new task that goes on from a completed one; its session is shown at once. Says whether it was taken. */
  continue(taskId: string, description: string): Promise<boolean> {
    const path = `${this.#base}/tasks/${taskId}/continue`;
    const body = { description };
    const idempotencyKey = this.#keyFor(`${path} ${description}`);
    return this.#try(async () => {
      const made = await call(path, { method: "POST", body, idempotencyKey, answer: submittedTask });
      this.#sending = { key: "", body: "" };
      this.#store.select(made.sessionId);
      void this.#readTask(made.taskId);
    });
  }

  cancel(taskId: string): Promise<void> {
    return this.#change(taskId, "cancel");
  }

  /** Keeps the workspace of an ended run two hours longer. */
  keep(taskId: string): Promise<void> {
    return this.#onWorkspace(taskId, "keep");
  }

  /** Removes the workspace of an ended run now. */
  discard(taskId: string): Promise<void> {
    return this.#onWorkspace(taskId, "discard");
  }

  #onWorkspace(taskId: string, what: "keep" | "discard"): Promise<void> {
    return this.#onTask(taskId, async () => {
      const path = `${this.#base}/tasks/${taskId}/workspace/${what}`;
      this.#store.dispatch({
        type: "workspace",
        workspace: await call(path, { method: "POST", body: {}, answer: workspace }),
      });
    });
  }

  remove(item: Task): Promise<void> {
    return this.#onTask(item.id, async () => {
      await call(`${this.#base}/tasks/${item.id}`, { method: "DELETE" });
      this.#store.dispatch({ type: "task.deleted", taskId: item.id, sessionId: item.sessionId });
    });
  }

  /** The task with its whole description; null when it could not be read. */
  async read(item: Task): Promise<Task | null> {
    try {
      return await call(`${this.#base}/tasks/${item.id}`, { answer: task });
    } catch (error) {
      this.toast("error", sentenceOf(error));
      return null;
    }
  }

  save(item: Task, draft: TaskDraft): Promise<boolean> {
    return this.#try(async () => {
      const saved = await call(`${this.#base}/tasks/${item.id}`, {
        method: "PATCH",
        body: bodyOf(draft),
        answer: task,
      });
      this.#store.dispatch({ type: "task", task: saved });
    });
  }

  /** Sends a follow-up. Sent again after a failure it has the same id, so it is stored once. */
  prompt(sessionId: string, text: string): Promise<boolean> {
    if (this.#prompt.text !== text || !this.#prompt.messageId) this.#prompt = { messageId: newId(), text };
    return this.#try(async () => {
      const stored = await call(`${this.#base}/sessions/${sessionId}/prompts`, {
        method: "POST",
        body: this.#prompt,
        answer: prompt,
      });
      this.#store.dispatch({ type: "prompts", sessionId, prompts: [stored] });
      this.#prompt = { messageId: "", text: "" };
    });
  }

  /** Changes a prompt that still waits; says whether it was taken. */
  editPrompt({ sessionId, messageId }: Prompt, text: string): Promise<boolean> {
    const path = `${this.#base}/sessions/${sessionId}/prompts/${messageId}`;
    return this.#try(async () => {
      const edited = await call(path, { method: "PATCH", body: { text }, answer: prompt });
      this.#store.dispatch({ type: "prompts", sessionId, prompts: [edited] });
    });
  }

  removePrompt({ sessionId, messageId }: Prompt): Promise<boolean> {
    return this.#try(async () => {
      await call(`${this.#base}/sessions/${sessionId}/prompts/${messageId}`, { method: "DELETE" });
      const known = this.#store.state.peek().prompts[sessionId]?.[messageId];
      if (known) {
        this.#store.dispatch({ type: "prompts", sessionId, prompts: [{ ...known, state: "cancelled" }] });
      }
    });
  }

  /** Sends a waiting prompt into the turn that runs. The live socket brings what becomes of it, which may be sooner. */
  steerPrompt({ sessionId, messageId }: Prompt): Promise<boolean> {
    const path = `${this.#base}/sessions/${sessionId}/prompts/${messageId}/steer`;
    return this.#try(() => call(path, { method: "POST", body: {} }));
  }

  interrupt(sessionId: string): Promise<boolean> {
    return this.#try(() => call(`${this.#base}/sessions/${sessionId}/interrupt`, { method: "POST", body: {} }));
  }

  /** Puts the whole text of a message, of which the page has the beginning, in its place. */
  loadWhole(sessionId: string, seq: number): Promise<boolean> {
    return this.#try(async () => {
      const whole = await call(`${this.#base}/sessions/${sessionId}/messages/${seq}`, { answer: message });
      this.#store.dispatch({ type: "message", sessionId, message: whole });
    });
  }

  toast(kind: Toast["kind"], text: string): void {
    const id = ++this.#toastId;
    this.toasts.value = [...this.toasts.peek(), { id, kind, message: text }].slice(-TOASTS_MAX);
    setTimeout(() => this.closeToast(id), TOAST_MS);
  }

  closeToast(id: number): void {
    this.toasts.value = this.toasts.peek().filter((toast) => toast.id !== id);
  }

  async #readTask(taskId: string): Promise<void> {
    const read = await call(`${this.#base}/tasks/${taskId}`, { answer: task }).catch(() => null);
    if (read) this.#store.dispatch({ type: "task", task: read });
  }

  #change(taskId: string, what: "run" | "cancel"): Promise<void> {
    return this.#onTask(taskId, async () => {
      const path = `${this.#base}/tasks/${taskId}/${what}`;
      this.#store.dispatch({ type: "task", task: await call(path, { method: "POST", body: {}, answer: task }) });
    });
  }

  #keyFor(body: string): string {
    if (this.#sending.body !== body) this.#sending = { key: newId(), body };
    return this.#sending.key;
  }

  async #onTask(taskId: string, act: () => Promise<void>): Promise<void> {
    this.busy.value = new Set([...this.busy.peek(), taskId]);
    await this.#try(act);
    this.busy.value = new Set([...this.busy.peek()].filter((id) => id !== taskId));
  }

  /** Whether it succeeded; if not, a toast says why. */
  async #try(act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
      return true;
    } catch (error) {
      this.toast("error", sentenceOf(error));
      return false;
    }
  }
}

function failureOf(error: unknown): SubmitFailure {
  const message = sentenceOf(error);
  if (!(error instanceof ApiError) || error.code !== "credentials_missing") return { message };
  const href = error.details.settingsUrl;
  return typeof href === "string" && href.startsWith("/") ? { message, link: { href, label: "Open settings" } } : {
    message,
  };
}
