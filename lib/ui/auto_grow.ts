/** A text field that grows with its text, up to the height that the stylesheet allows. Sets one CSS property. */
import type { RefObject } from "preact";
import { useLayoutEffect } from "preact/hooks";

/** Call with the field and its text; browsers that size fields by themselves are left alone. */
export function useAutoGrow(ref: RefObject<HTMLTextAreaElement | null>, text: string): void {
  useLayoutEffect(() => {
    const field = ref.current;
    if (!field || CSS.supports("field-sizing", "content")) return;
    field.style.setProperty("--text-height", "auto");
    field.style.setProperty("--text-height", `${field.scrollHeight}px`);
  }, [text]);
}
