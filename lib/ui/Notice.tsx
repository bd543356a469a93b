/** What happened, why, and what to do: a box in place, and short notes in the corner that go by themselves. */
import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Icon } from "./Icon.tsx";

export interface NoticeProps {
  kind: "error" | "warning" | "info";
  title?: string;
  children: ComponentChildren;
  action?: ComponentChildren;
}

export function Notice({ kind, title, children, action }: NoticeProps) {
  return (
    <div class={`notice notice-${kind}`} role={kind === "error" ? "alert" : "status"}>
      <Icon name="warning" />
      <div class="notice-text">
        {title ? <strong>{title}</strong> : null}
        <span>{children}</span>
      </div>
      {action ?? null}
    </div>
  );
}

export interface Toast {
  id: number;
  kind: "error" | "info";
  message: string;
}

export function Toasts({ toasts, onClose }: { toasts: ReadonlySignal<Toast[]>; onClose: (id: number) => void }) {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div class={`toast toast-${toast.kind}`} key={toast.id}>
          <span>{toast.message}</span>
          <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => onClose(toast.id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

export interface EmptyProps {
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
}

export function Empty({ title, children, action }: EmptyProps) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <p class="empty-text">{children}</p> : null}
      {action ?? null}
    </div>
  );
}

export function Skeleton({ lines }: { lines: number }) {
  return (
    <div class="skeleton" role="status">
      <span class="sr-only">Loading…</span>
      {Array.from({ length: lines }, (_, index) => <span class="skeleton-line" key={index} />)}
    </div>
  );
}
