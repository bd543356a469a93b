/** Copies a text and says so for a moment. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Icon } from "./Icon.tsx";

const SAID_MS = 1_500;

export function CopyButton({ text, label }: { text: string; label: string }) {
  const said = useSignal<"" | "Copied" | "Copying failed">("");
  useEffect(() => {
    if (!said.value) return;
    const timer = setTimeout(() => (said.value = ""), SAID_MS);
    return () => clearTimeout(timer);
  }, [said.value]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      said.value = "Copied";
    } catch {
      said.value = "Copying failed";
    }
  };
  return (
    <button type="button" class="icon-button" aria-label={label} title={said.value || label} onClick={copy}>
      <Icon name={said.value === "Copied" ? "check" : "copy"} />
      <span class="sr-only" role="status">{said.value}</span>
    </button>
  );
}
