/** A button for what cannot be undone: the first press asks, the second does it, anything else takes it back. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";

export interface ConfirmButtonProps {
  children: ComponentChildren;
  question: string;
  disabled?: boolean;
  class?: string;
  onConfirm: () => void;
}

export function ConfirmButton(
  { children, question, disabled = false, class: name = "button danger", onConfirm }: ConfirmButtonProps,
) {
  const asking = useSignal(false);
  const press = () => {
    if (asking.value) onConfirm();
    asking.value = !asking.value;
  };
  return (
    <button
      type="button"
      class={asking.value ? `${name} asking` : name}
      disabled={disabled}
      onClick={press}
      onBlur={() => (asking.value = false)}
      onKeyDown={(event) => {
        if (event.key === "Escape") asking.value = false;
      }}
    >
      {asking.value ? question : children}
    </button>
  );
}
