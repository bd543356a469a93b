/** The terminal's place on the workspace page: how it is, a way to a new one, and the way out by keyboard. */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Notice } from "../lib/ui/Notice.tsx";
import type { TerminalScreen } from "./_terminal.ts";
import { TerminalSocket, type TerminalState } from "./_terminal_socket.ts";

export interface TerminalPaneProps {
  workspaceId: string;
  /** The pane is in view: then it is drawn, and opened when it is seen for the first time. */
  shown: boolean;
  /** The files are there. */
  ready: boolean;
  /** Why there can be no shell (any more); null: there can. */
  ended: string | null;
}

const CONNECTING: TerminalState = { kind: "connecting" };
const NOT_LOADED: TerminalState = { kind: "closed", text: "The terminal could not be loaded.", again: true };

export function TerminalPane({ workspaceId, shown, ready, ended }: TerminalPaneProps) {
  const place = useRef<HTMLDivElement>(null);
  const leave = useRef<HTMLButtonElement>(null);
  const state = useSignal<TerminalState>(CONNECTING);
  const screen = useRef<TerminalScreen | null>(null);
  /** Counts the shells that were asked for. */
  const wanted = useSignal(0);
  useEffect(() => {
    if (shown && ready && !ended && wanted.peek() === 0) wanted.value = 1;
  }, [shown, ready, ended]);
  useEffect(() => {
    if (wanted.value === 0) return;
    return open(place.current!, {
      workspaceId,
      onLeave: () => leave.current?.focus(),
      onState: (now) => (state.value = now),
      onScreen: (now) => (screen.current = now),
    });
  }, [wanted.value]);

  const again = () => {
    state.value = CONNECTING;
    wanted.value++;
  };
  const { value: now } = state;
  return (
    <div class="terminal-pane">
      {ended && wanted.value === 0 ? <Notice kind="info" title="No terminal">{ended}</Notice> : null}
      {now.kind === "closed" && wanted.value > 0
        ? (
          <Notice
            kind="warning"
            title="The terminal is closed"
            action={now.again && !ended
              ? <button type="button" class="button" onClick={again}>New terminal</button>
              : undefined}
          >
            {ended ?? now.text}
          </Notice>
        )
        : null}
      <div class="terminal" ref={place} data-state={now.kind} role="group" aria-label="Terminal" />
      <div class="terminal-foot">
        <span role="status">
          {now.kind !== "connecting" || ended
            ? ""
            : ready
            ? "Connecting to the machine…"
            : "The files are on their way…"}
        </span>
        <span class="terminal-hint" id="terminal-hint">
          <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>L</kbd> leaves the terminal
        </span>
        <button
          type="button"
          class="button small quiet"
          ref={leave}
          disabled={now.kind !== "open"}
          aria-describedby="terminal-hint"
          onClick={() => screen.current?.focus()}
        >
          Type in the terminal
        </button>
      </div>
    </div>
  );
}

interface Opening {
  workspaceId: string;
  onLeave: () => void;
  onState: (state: TerminalState) => void;
  onScreen: (screen: TerminalScreen | null) => void;
}

/** Loads what draws a terminal and opens one in `place`. The answer ends it. */
function open(place: HTMLElement, { workspaceId, onLeave, onState, onScreen }: Opening): () => void {
  let ended = false;
  let stop = () => {};
  void import("./_terminal.ts").then(({ TerminalScreen }) => {
    if (ended) return;
    const screen: TerminalScreen = new TerminalScreen(place, {
      onType: (bytes) => socket.type(bytes),
      onResize: (size) => socket.resize(size),
      onLeave,
    });
    const socket = new TerminalSocket({
      workspaceId,
      size: screen.size,
      onOutput: (bytes, onDrawn) => screen.write(bytes, onDrawn),
      onState: (now) => {
        onState(now);
        if (now.kind === "open") screen.focus();
      },
    });
    onScreen(screen);
    stop = () => {
      onScreen(null);
      socket[Symbol.dispose]();
      screen[Symbol.dispose]();
    };
  }, () => ended || onState(NOT_LOADED));
  return () => {
    ended = true;
    stop();
  };
}
