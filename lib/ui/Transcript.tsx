/**
 * A session's messages in a scrolling column. It follows new text only while the reader is at the bottom, else offers
 * a button. Only the rows around what is seen are in the document, so length costs nothing; older pages come in at the
 * top without moving what is being read.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { FoldRow } from "./FoldRow.tsx";
import { Icon } from "./Icon.tsx";
import { MessageItem, OpenItem } from "./MessageView.tsx";
import { Empty, Notice, Skeleton } from "./Notice.tsx";
import { RowScroller } from "./row_scroller.ts";
import { type Row, rowsOf } from "./rows.ts";
import { type Transcript as Data, withoutHoles } from "./transcript.ts";

/** Older messages are asked for before the reader gets there. */
const OLDER_PX = 3_000;

export interface TranscriptProps {
  sessionId: string;
  transcript: Data;
  /** A turn is under way. */
  running: boolean;
  loadError: string | null;
  loadingOlder: boolean;
  emptyHint: string;
  onReload: () => void;
  onOlder: () => void;
  onWhole: (seq: number) => Promise<unknown>;
  /** What stands below the last message. */
  tail?: ComponentChildren;
}

export function Transcript(props: TranscriptProps) {
  const { sessionId, transcript, running, loadError, loadingOlder, emptyHint } = props;
  const unseen = useSignal(false);
  /** Counts up when other rows are needed: the scroller itself is no signal. */
  const turn = useSignal(0);
  const frame = useRef<HTMLDivElement>(null);
  const scroller = useMemo(() => new RowScroller(), []);
  const shown = useRef({ sessionId: "", tail: "" });
  const unfolded = useMemo(() => new Set<string>(), [sessionId]);
  const opened = useSignal(0);
  const rows = useMemo(
    () => rowsOf(withoutHoles(transcript), { hasOlder: transcript.hasOlder, running, unfolded }),
    [transcript.messages, transcript.hasOlder, running, unfolded, opened.value],
  );
  if (shown.current.sessionId !== sessionId) scroller.reset();
  const layout = scroller.plan(rows);
  void turn.value;

  useLayoutEffect(() => {
    const switched = shown.current.sessionId !== sessionId;
    const tail = tailOf(transcript);
    const added = !switched && tail !== shown.current.tail;
    shown.current = { sessionId, tail };
    scroller.settle(frame.current);
    unseen.value = !scroller.bottom && (unseen.peek() && !switched || added);
  });
  useEffect(() => {
    // What was rendered first was not measured: now it is, and the rest is known to be there.
    turn.value++;
    return followSize(frame.current, scroller);
  }, []);

  const askOlder = () => {
    const near = (frame.current?.scrollTop ?? 0) < OLDER_PX;
    if (near && transcript.hasOlder && !loadingOlder && !loadError) props.onOlder();
  };
  const onScroll = () => {
    if (scroller.scrolled()) turn.value++;
    if (scroller.bottom) unseen.value = false;
    askOlder();
  };
  const toBottom = () => {
    scroller.toBottom();
    unseen.value = false;
    turn.value++;
  };
  const unfold = (row: Row) => {
    unfolded.add(row.key.slice("fold-".length));
    opened.value++;
  };

  return (
    <div class="transcript-frame">
      <div class="transcript" ref={frame} onScroll={onScroll} tabIndex={0} role="log" aria-label="Messages">
        <div class="column">
          {transcript.hasOlder && layout.start === 0
            ? (
              <button type="button" class="button quiet" disabled={loadingOlder} onClick={props.onOlder}>
                {loadingOlder ? "Loading older messages…" : "Load older messages"}
              </button>
            )
            : null}
          {loadError
            ? (
              <Notice
                kind="error"
                title="The messages could not be loaded"
                action={<button type="button" class="button" onClick={props.onReload}>Retry</button>}
              >
                {loadError}
              </Notice>
            )
            : null}
          {!transcript.loaded && !loadError ? <Skeleton lines={6} /> : null}
          <Gap height={layout.before} />
          {rows.slice(layout.start, layout.end).map((row) => (
            <div class="transcript-row" key={row.key} data-row={row.key}>
              {row.message ? <MessageItem message={row.message} onWhole={props.onWhole} /> : (
                <FoldRow
                  fold={row.fold}
                  onOpen={() => unfold(row)}
                />
              )}
            </div>
          ))}
          <Gap height={layout.after} />
          {transcript.open.map((open) => (
            <div class="transcript-row" key={open.messageId}>
              <OpenItem message={open} />
            </div>
          ))}
          {transcript.loaded && rows.length === 0 && transcript.open.length === 0
            ? <Empty title="No messages yet">{emptyHint}</Empty>
            : null}
          {props.tail}
        </div>
      </div>
      {unseen.value
        ? (
          <button type="button" class="button new-messages" onClick={toBottom} data-session={sessionId}>
            <Icon name="down" />
            New messages
          </button>
        )
        : null}
    </div>
  );
}

/** In place of rows that are not in the document. The height is set by script: the page's policy has no inline styles. */
function Gap({ height }: { height: number }) {
  const gap = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => gap.current?.style.setProperty("height", `${height}px`), [height]);
  return <div class="transcript-gap" ref={gap} aria-hidden="true" />;
}

function tailOf({ messages, open }: Data): string {
  return `${messages.at(-1)?.seq ?? 0}:${open.map((each) => each.text.length).join(",")}`;
}

/** Fonts, opened details and the dock below change sizes without anything new. */
function followSize(element: HTMLElement | null, scroller: RowScroller): (() => void) | undefined {
  if (!element) return undefined;
  const observer = new ResizeObserver(() => scroller.settle(element));
  observer.observe(element);
  if (element.firstElementChild) observer.observe(element.firstElementChild);
  return () => observer.disconnect();
}
