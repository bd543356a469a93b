/**
 * A primary action with a menu of others beside it. The menu opens by click or arrow, moves by arrows, and closes by
 * Escape, by Tab, by a choice and by a click anywhere else.
 */
import { useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "./Icon.tsx";

export interface SplitOption {
  label: string;
  hint?: string;
  onSelect: () => void;
}

export interface SplitButtonProps {
  label: string;
  menuLabel: string;
  options: SplitOption[];
  disabled?: boolean;
  busy?: boolean;
  onPrimary: () => void;
}

export function SplitButton(
  { label, menuLabel, options, disabled = false, busy = false, onPrimary }: SplitButtonProps,
) {
  const open = useSignal(false);
  const root = useRef<HTMLDivElement>(null);
  const toggle = useRef<HTMLButtonElement>(null);
  const shown = open.value && !disabled;

  useLayoutEffect(() => {
    if (!shown) return;
    const onPointer = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) open.value = false;
    };
    document.addEventListener("pointerdown", onPointer);
    itemsOf(root.current)[0]?.focus();
    return () => document.removeEventListener("pointerdown", onPointer);
  }, [shown]);

  const close = () => {
    open.value = false;
    toggle.current?.focus();
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>) => {
    if (disabled) return;
    if (!open.value) {
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        open.value = true;
      }
      return;
    }
    if (event.key === "Escape") close();
    else if (event.key === "Tab") open.value = false;
    else if (!moveFocus(root.current, event.key)) return;
    if (event.key !== "Tab") {
      event.preventDefault();
      event.stopPropagation();
    }
  };

  return (
    <div class="split" ref={root} onKeyDown={onKeyDown}>
      <button type="button" class="button primary" disabled={disabled} onClick={onPrimary}>
        {busy ? <span class="spinner" aria-hidden="true" /> : null}
        {label}
      </button>
      <button
        type="button"
        class="button primary split-toggle"
        ref={toggle}
        disabled={disabled}
        aria-label={menuLabel}
        aria-haspopup="menu"
        aria-expanded={shown ? "true" : "false"}
        onClick={() => (open.value = !open.value)}
      >
        <Icon name="chevron" />
      </button>
      {shown
        ? (
          <div class="menu" role="menu" aria-label={menuLabel}>
            {options.map((option) => (
              <button
                key={option.label}
                type="button"
                role="menuitem"
                tabIndex={-1}
                class="menu-item"
                onClick={() => {
                  close();
                  option.onSelect();
                }}
              >
                {option.label}
                {option.hint ? <small>{option.hint}</small> : null}
              </button>
            ))}
          </div>
        )
        : null}
    </div>
  );
}

function itemsOf(root: HTMLElement | null): HTMLElement[] {
  return [...root?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? []];
}

/** Moves among the menu's items; says whether the key was one that moves. */
function moveFocus(root: HTMLElement | null, key: string): boolean {
  const items = itemsOf(root);
  const at = items.indexOf(document.activeElement as HTMLElement);
  const next = {
    ArrowDown: (at + 1) % items.length,
    ArrowUp: (at - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[key];
  if (next === undefined) return false;
  items[next]?.focus();
  return true;
}
