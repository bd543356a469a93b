/**
 * A terminal on the page, as the library draws it: what it shows, what is typed into it, its size and its colours.
 * Loaded only where a terminal is opened, so it brings nothing but the library; the socket is another part.
 */
import { type ITheme, Terminal } from "@xterm/xterm";
import { letSpansBeStyled, withNonce } from "./_strict_styles.ts";

const SCROLLBACK_LINES = 5_000;
const SCROLLBAR_PX = 14;
const COLS = { min: 2, max: 500 };
const ROWS = { min: 1, max: 300 };

export interface TerminalEvents {
  onType: (bytes: Uint8Array<ArrayBuffer>) => void;
  onResize: (size: { cols: number; rows: number }) => void;
  /** The reader wants to leave by keyboard. */
  onLeave: () => void;
}

export class TerminalScreen implements Disposable {
  readonly #place: HTMLElement;
  readonly #scheme: MediaQueryList;
  readonly #terminal: Terminal;
  readonly #end = new AbortController();

  constructor(place: HTMLElement, events: TerminalEvents) {
    this.#place = place;
    this.#scheme = matchMedia("(prefers-color-scheme: dark)");
    this.#terminal = new Terminal({
      scrollback: SCROLLBACK_LINES,
      fontFamily: getComputedStyle(place).fontFamily,
      fontSize: 13,
      cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
      minimumContrastRatio: 4.5,
      screenReaderMode: true,
      theme: this.#scheme.matches ? DARK : LIGHT,
    });
    letSpansBeStyled();
    withNonce(document, () => this.#terminal.open(place));
    this.#terminal.textarea?.setAttribute("aria-label", "Terminal");
    this.#fit();
    this.#follow(events);
  }

  get size(): { cols: number; rows: number } {
    return { cols: this.#terminal.cols, rows: this.#terminal.rows };
  }

  /** Shows output; `onDrawn` is called when there is room for more. */
  write(bytes: Uint8Array, onDrawn: () => void): void {
    this.#terminal.write(bytes, onDrawn);
  }

  focus(): void {
    this.#terminal.focus();
  }

  [Symbol.dispose](): void {
    this.#end.abort();
    this.#terminal.dispose();
  }

  #follow({ onType, onResize, onLeave }: TerminalEvents): void {
    const { signal } = this.#end;
    const encoder = new TextEncoder();
    this.#terminal.onData((text) => onType(encoder.encode(text)));
    this.#terminal.onBinary((text) => onType(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    this.#terminal.onResize(onResize);
    this.#terminal.attachCustomKeyEventHandler((event) => {
      if (!isLeave(event)) return true;
      event.preventDefault();
      if (event.type === "keydown") onLeave();
      return false;
    });
    const sizes = new ResizeObserver(() => this.#fit());
    sizes.observe(this.#place);
    signal.addEventListener("abort", () => sizes.disconnect(), { once: true });
    const recolour = () => (this.#terminal.options.theme = this.#scheme.matches ? DARK : LIGHT);
    this.#scheme.addEventListener("change", recolour, { signal });
  }

  /** As many columns and rows as there is room for. */
  #fit(): void {
    const screen = this.#place.querySelector<HTMLElement>(".xterm-screen");
    const { clientWidth, clientHeight } = this.#place;
    if (!screen || clientWidth === 0 || screen.clientWidth === 0) return;
    const cell = {
      width: screen.clientWidth / this.#terminal.cols,
      height: screen.clientHeight / this.#terminal.rows,
    };
    const cols = within(Math.floor((clientWidth - SCROLLBAR_PX) / cell.width), COLS);
    const rows = within(Math.floor(clientHeight / cell.height), ROWS);
    if (cols !== this.#terminal.cols || rows !== this.#terminal.rows) this.#terminal.resize(cols, rows);
  }
}

/** Tab and Escape belong to the shell, so the way out is a key that no program knows. */
function isLeave(event: KeyboardEvent): boolean {
  return event.ctrlKey && event.shiftKey && event.key.toLowerCase() === "l";
}

function within(value: number, { min, max }: { min: number; max: number }): number {
  return Math.max(min, Math.min(max, value));
}

/** The page's ground and text, and the shell's sixteen colours as they read well on it. */
const LIGHT: ITheme = {
  background: "#fbfaf8",
  foreground: "#211f1c",
  cursor: "#211f1c",
  selectionBackground: "#cfe0f8",
  black: "#211f1c",
  red: "#ae221b",
  green: "#1b6b3d",
  yellow: "#7a5000",
  blue: "#1b58ae",
  magenta: "#8a2f86",
  cyan: "#0e6570",
  white: "#625d55",
  brightBlack: "#625d55",
  brightRed: "#c8372f",
  brightGreen: "#2a7f4d",
  brightYellow: "#8f6410",
  brightBlue: "#2f6fca",
  brightMagenta: "#a1479c",
  brightCyan: "#1f7783",
  brightWhite: "#211f1c",
};

const DARK: ITheme = {
  background: "#191816",
  foreground: "#ebe7e0",
  cursor: "#ebe7e0",
  selectionBackground: "#2f4a6e",
  black: "#33302b",
  red: "#f3968e",
  green: "#86cfa0",
  yellow: "#e3b860",
  blue: "#8fbaf5",
  magenta: "#dda3da",
  cyan: "#86ccd4",
  white: "#ebe7e0",
  brightBlack: "#a8a196",
  brightRed: "#ffb3ac",
  brightGreen: "#a8e6bd",
  brightYellow: "#f3d28a",
  brightBlue: "#b3d2ff",
  brightMagenta: "#f0c2ee",
  brightCyan: "#aee6ec",
  brightWhite: "#ffffff",
};
