/** Single-key shortcuts, silent while somebody types or holds a modifier, and the one that interrupts from anywhere. */

export type Shortcuts = Readonly<Record<string, () => void>>;

/** Listens for `keys`; "Ctrl+Shift+X" works in fields too. The answer ends it. */
export function listenForKeys(keys: Shortcuts): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing) return;
    const act = event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "x"
      ? keys["Ctrl+Shift+X"]
      : event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)
      ? undefined
      : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}
