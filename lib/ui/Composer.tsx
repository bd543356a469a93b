/**
 * Writes follow-ups to a live session. Enter sends, Shift+Enter breaks the line; what waits for its turn is listed
 * above and can be taken back; Ctrl+Shift+X or Stop interrupts the turn.
 */
import { type Signal, useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useRef } from "preact/hooks";
import { PROMPT_MAX } from "../wire/limits.ts";
import type { Prompt } from "../wire/session.ts";
import { useAutoGrow } from "./auto_grow.ts";
import { Icon } from "./Icon.tsx";
import type { ComposerState } from "./views.ts";

export interface ComposerProps {
  state: ComposerState & { show: true };
  text: Signal<string>;
  waiting: Prompt[];
  /** A turn is running, so there is something to interrupt. */
  running: boolean;
  /** Says whether it was taken; what was not stays in the field. */
  onSend: (text: string) => Promise<boolean>;
  onInterrupt: () => void;
  onRemove: (prompt: Prompt) => void;
}

export function Composer({ state, text, waiting, running, onSend, onInterrupt, onRemove }: ComposerProps) {
  const busy = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useAutoGrow(field, text.value);
  const trimmed = text.value.trim();
  const tooLong = trimmed.length > PROMPT_MAX;
  const sendable = state.enabled && !busy.value && trimmed.length > 0 && !tooLong;

  const send = async () => {
    if (!sendable) return;
    busy.value = true;
    if (await onSend(trimmed)) text.value = "";
    busy.value = false;
    field.current?.focus();
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLTextAreaElement>) => {
    // An Enter that ends the composition of a character is not one that sends.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    void send();
  };

  return (
    <div class="composer">
      <Waiting prompts={waiting} onRemove={onRemove} />
      <div class="composer-row">
        <textarea
          ref={field}
          class="field grow"
          rows={1}
          aria-label="Follow-up to this session"
          placeholder={state.hint}
          disabled={!state.enabled}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onKeyDown={onKeyDown}
        />
        {running
          ? (
            <button type="button" class="button" title="Interrupt the turn (Ctrl+Shift+X)" onClick={onInterrupt}>
              <Icon name="stop" />
              Stop
            </button>
          )
          : null}
        <button type="button" class="button primary" aria-label="Send" disabled={!sendable} onClick={() => void send()}>
          {busy.value ? <span class="spinner" aria-hidden="true" /> : <Icon name="send" />}
        </button>
      </div>
      {tooLong
        ? (
          <p class="field-error" role="alert">
            {`A prompt holds at most ${PROMPT_MAX.toLocaleString("en")} characters; this one has ${
              trimmed.length.toLocaleString("en")
            }.`}
          </p>
        )
        : null}
    </div>
  );
}

function Waiting({ prompts, onRemove }: { prompts: Prompt[]; onRemove: (prompt: Prompt) => void }) {
  if (prompts.length === 0) return null;
  return (
    <ul class="waiting" aria-label="Waiting prompts">
      {prompts.map((prompt) => (
        <li key={prompt.messageId}>
          <span class="waiting-state">{prompt.state === "queued" ? "Queued" : "Sent"}</span>
          <span class="waiting-text">{prompt.text}</span>
          {prompt.state === "queued"
            ? (
              <button
                type="button"
                class="icon-button"
                aria-label="Remove this prompt"
                title="Remove"
                onClick={() => onRemove(prompt)}
              >
                <Icon name="close" />
              </button>
            )
            : null}
        </li>
      ))}
    </ul>
  );
}
