/** Single-key shortcuts, silent while somebody types or holds a modifier, and the ones that work from anywhere. */

export type Shortcuts = Readonly<Record<string, () => void>>;

/**
 * Listens for `keys`; "Ctrl+Shift+X" and "Ctrl+K" work in fields too (on a Mac with Command). While a dialog is open
 * the keys are the dialog's. The answer ends it.
 */
export function listenForKeys(keys: Shortcuts): () => void {
  const onKey = (event: KeyboardEvent) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const act = keys[nameOf(event)];
    if (!act) return;
    event.preventDefault();
    act();
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}

function nameOf(event: KeyboardEvent): string {
  const key = event.key.toLowerCase();
  if (event.ctrlKey && event.shiftKey && key === "x") return "Ctrl+Shift+X";
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && key === "k") return "Ctrl+K";
  const bare = !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target);
  return bare ? event.key : "";
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}
