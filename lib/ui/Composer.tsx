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
import { WaitingPrompts } from "./WaitingPrompts.tsx";

export interface ComposerProps {
  /** What the field is for, where it is no follow-up. */
  label?: string;
  state: ComposerState & { show: true };
  text: Signal<string>;
  waiting: Prompt[];
  /** A turn is running, so there is something to interrupt. */
  running: boolean;
  /** Says whether it was taken; what was not stays in the field. */
  onSend: (text: string) => Promise<boolean>;
  onInterrupt: () => void;
  onRemove: (prompt: Prompt) => void;
  /** Sends a waiting prompt into the turn that runs; left out where that cannot be done. */
  onSteer?: (prompt: Prompt) => void;
  /** Says whether the new text was taken. */
  onEdit: (prompt: Prompt, text: string) => Promise<boolean>;
}

export function Composer(
  {
    label = "Follow-up to this session",
    state,
    text,
    waiting,
    running,
    onSend,
    onInterrupt,
    onRemove,
    onSteer,
    onEdit,
  }: ComposerProps,
) {
  const busy = useSignal(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useAutoGrow(field, text.value);
  const trimmed = text.value.trim();
  const tooLong = trimmed.length > PROMPT_MAX;
  const sendable = state.enabled && !busy.value && trimmed.length > 0 && !tooLong;

  const send = async () => {
    if (!sendable) return;
    const sent = text.value;
    busy.value = true;
    const taken = await onSend(trimmed);
    busy.value = false;
    // What was typed meanwhile is the beginning of the next one.
    if (taken) text.value = text.value.startsWith(sent) ? text.value.slice(sent.length).trimStart() : text.value;
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
      <WaitingPrompts prompts={waiting} onRemove={onRemove} onSteer={onSteer} onEdit={onEdit} />
      <div class="composer-row">
        <textarea
          ref={field}
          class="field grow"
          rows={1}
          aria-label={label}
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
