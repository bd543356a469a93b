/** Prompts that wait for their turn. One that was not sent yet can be edited in place or taken back. */
import { useSignal } from "@preact/signals";
import type { Prompt } from "../wire/session.ts";
import { Icon } from "./Icon.tsx";
import { PromptEditor } from "./PromptEditor.tsx";

export interface WaitingPromptsProps {
  prompts: Prompt[];
  onRemove: (prompt: Prompt) => void;
  /** Sends it into the turn that runs; left out where that cannot be done. */
  onSteer?: (prompt: Prompt) => void;
  /** Says whether the new text was taken. */
  onEdit: (prompt: Prompt, text: string) => Promise<boolean>;
}

export function WaitingPrompts({ prompts, ...act }: WaitingPromptsProps) {
  if (prompts.length === 0) return null;
  return (
    <ul class="waiting" aria-label="Waiting prompts">
      {prompts.map((prompt) => (
        <li key={prompt.messageId}>
          <Waiting prompt={prompt} {...act} />
        </li>
      ))}
    </ul>
  );
}

function Waiting(
  { prompt, onRemove, onSteer, onEdit }: Omit<WaitingPromptsProps, "prompts"> & { prompt: Prompt },
) {
  const editing = useSignal(false);
  const queued = prompt.state === "queued";
  if (queued && editing.value) {
    return <PromptEditor prompt={prompt} onEdit={onEdit} onClose={() => (editing.value = false)} />;
  }
  return (
    <>
      <span class="waiting-state">{queued ? "Queued" : "Sent"}</span>
      <span class="waiting-text" title={prompt.text}>{prompt.text}</span>
      {queued
        ? (
          <>
            {onSteer
              ? <button type="button" class="button small quiet" onClick={() => onSteer(prompt)}>Send now</button>
              : null}
            <button
              type="button"
              class="icon-button"
              aria-label="Edit this prompt"
              title="Edit"
              onClick={() => (editing.value = true)}
            >
              <Icon name="edit" />
            </button>
            <button
              type="button"
              class="icon-button"
              aria-label="Remove this prompt"
              title="Remove"
              onClick={() => onRemove(prompt)}
            >
              <Icon name="close" />
            </button>
          </>
        )
        : null}
    </>
  );
}
