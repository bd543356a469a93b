/**
 * A button that opens a small panel below it. Escape, a click anywhere else and a choice inside close it; the keyboard
 * goes on from the button.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren, TargetedKeyboardEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface PopoverProps {
  label: ComponentChildren;
  /** The button's name where its label is not text. */
  name?: string;
  /** What it opens, in words, on hover. */
  title?: string;
  class?: string;
  /** Given a way to close the panel. */
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, name, title = name, class: buttonClass = "link-button", children }: PopoverProps) {
  const open = useSignal(false);
  const root = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open.value) return;
    const onPointer = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    document.addEventListener("pointerdown", onPointer);
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [open.value]);
  const close = () => {
    open.value = false;
    button.current?.focus();
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>) => {
    if (event.key !== "Escape" || !open.value) return;
    event.stopPropagation();
    close();
  };
  return (
    <span class="popover" ref={root} onKeyDown={onKeyDown}>
      <button
        type="button"
        ref={button}
        class={buttonClass}
        aria-label={name}
        title={title}
        aria-expanded={open.value ? "true" : "false"}
        onClick={() => (open.value = !open.value)}
      >
        {label}
      </button>
      {open.value ? <div class="popover-panel">{children(close)}</div> : null}
    </span>
  );
}
