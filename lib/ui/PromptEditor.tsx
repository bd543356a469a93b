/** A waiting prompt edited in place. */
import { useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { PROMPT_MAX } from "../wire/limits.ts";
import type { Prompt } from "../wire/session.ts";
import type { WaitingPromptsProps } from "./WaitingPrompts.tsx";

export interface PromptEditorProps {
  prompt: Prompt;
  onEdit: WaitingPromptsProps["onEdit"];
  onClose: () => void;
}

/** Enter saves, Escape leaves it as it was. */
export function PromptEditor({ prompt, onEdit, onClose }: PromptEditorProps) {
  const text = useSignal(prompt.text);
  const busy = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => field.current?.focus(), []);
  const trimmed = text.value.trim();
  const savable = !busy.value && trimmed.length > 0 && trimmed.length <= PROMPT_MAX;
  const save = async () => {
    if (!savable) return;
    busy.value = true;
    const taken = trimmed === prompt.text || await onEdit(prompt, trimmed);
    busy.value = false;
    if (taken) onClose();
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>) => {
    if (event.isComposing) return;
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter" && !event.shiftKey) void save();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <textarea
        ref={field}
        class="field waiting-field"
        rows={2}
        aria-label="Waiting prompt"
        value={text.value}
        onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <button type="button" class="button small primary" disabled={!savable} onClick={() => void save()}>Save</button>
      <button type="button" class="button small quiet" onClick={onClose}>Close</button>
    </>
  );
}
