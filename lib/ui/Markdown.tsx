/**
 * A text in Markdown. Shown as it was written until a renderer is there, which is loaded when the first text wants
 * one; live text is rendered a few times a second. The renderer gives nodes that are safe; nothing here parses HTML.
 */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect, useLayoutEffect, useRef } from "preact/hooks";

export interface MarkdownRenderer {
  /** Sanitised nodes for `text`. */
  render(text: string): DocumentFragment;
}

export interface MarkdownSource {
  renderer: ReadonlySignal<MarkdownRenderer | null>;
  /** Loads the renderer, once. */
  want(): void;
}

export const MarkdownContext = createContext<MarkdownSource | null>(null);

/** Longer texts are data rather than prose, and are shown as they are. */
const RENDERED_MAX = 100_000;
/** Parsing at each delta would cost more the longer the answer gets. */
const LIVE_EVERY_MS = 150;

export function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  const source = useContext(MarkdownContext);
  useEffect(() => source?.want(), [source]);
  const renderer = source && text.length <= RENDERED_MAX ? source.renderer.value : null;
  const now = useThrottled(text, live ? LIVE_EVERY_MS : 0);
  if (renderer) return <Rendered key="rendered" renderer={renderer} text={now} live={live} />;
  return <div class="prose" key="plain">{text}{live ? <span class="caret" aria-hidden="true" /> : null}</div>;
}

function Rendered({ renderer, text, live }: { renderer: MarkdownRenderer; text: string; live: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => place.current?.replaceChildren(renderer.render(text)), [renderer, text]);
  return <div class={live ? "prose markdown live" : "prose markdown"} ref={place} />;
}

/** `text` as it was at most `everyMs` ago. */
function useThrottled(text: string, everyMs: number): string {
  const shown = useSignal(text);
  const newest = useRef(text);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  newest.current = text;
  useEffect(() => {
    if (everyMs === 0 || timer.current !== undefined || shown.peek() === text) return;
    timer.current = setTimeout(() => {
      timer.current = undefined;
      shown.value = newest.current;
    }, everyMs);
  }, [text, everyMs]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return everyMs === 0 ? text : shown.value;
}
