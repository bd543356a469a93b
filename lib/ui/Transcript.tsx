/**
 * A session's messages in a scrolling column. It follows new text only while the reader is at the bottom, else offers
 * a button; older pages come in at the top without moving what is being read.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { Icon } from "./Icon.tsx";
import { MessageItem, OpenItem } from "./MessageView.tsx";
import { Empty, Notice, Skeleton } from "./Notice.tsx";
import { type Transcript as Data, withoutHoles } from "./transcript.ts";

/** Still counts as being at the bottom: a line or two, as trackpads stop short. */
const BOTTOM_PX = 60;
/** Older messages are asked for before the reader gets there. */
const OLDER_PX = 600;

export interface TranscriptProps {
  sessionId: string;
  transcript: Data;
  loadError: string | null;
  loadingOlder: boolean;
  emptyHint: string;
  onReload: () => void;
  onOlder: () => void;
  onWhole: (seq: number) => Promise<void>;
}

export function Transcript(props: TranscriptProps) {
  const { sessionId, transcript, loadError, loadingOlder, emptyHint } = props;
  const unseen = useSignal(false);
  const scroller = useRef<HTMLDivElement>(null);
  const place = useRef<Place>({ sessionId: "", firstSeq: 0, tail: "", height: 0, room: 0, bottom: true });
  const messages = withoutHoles(transcript);

  useLayoutEffect(() => {
    if (scroller.current) unseen.value = keepPlace(scroller.current, place.current, props) || unseen.value;
  });
  // Fonts and the dock below change the height without any message.
  useEffect(() => followSize(scroller.current, place.current), []);

  const onScroll = () => {
    const element = scroller.current;
    if (!element || element.clientHeight === 0) return;
    place.current.bottom = distance(element) < BOTTOM_PX;
    Object.assign(place.current, { height: element.scrollHeight, room: element.clientHeight });
    if (place.current.bottom) unseen.value = false;
    if (element.scrollTop < OLDER_PX && transcript.hasOlder && !loadingOlder) props.onOlder();
  };
  const toBottom = () => {
    place.current.bottom = true;
    unseen.value = false;
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };

  return (
    <div class="transcript-frame">
      <div class="transcript" ref={scroller} onScroll={onScroll} tabIndex={0} role="log" aria-label="Messages">
        <div class="column">
          {transcript.hasOlder
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
          {messages.map((message) => <MessageItem key={message.messageId} message={message} onWhole={props.onWhole} />)}
          {transcript.open.map((open) => <OpenItem key={open.messageId} message={open} />)}
          {transcript.loaded && messages.length === 0 && transcript.open.length === 0
            ? <Empty title="No messages yet">{emptyHint}</Empty>
            : null}
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

interface Place {
  sessionId: string;
  firstSeq: number;
  /** Changes when something comes at the end. */
  tail: string;
  /** Of all that can be scrolled, and of the part that is seen. */
  height: number;
  room: number;
  bottom: boolean;
}

/** Puts the scroll where the reader expects it after a change; says whether something new is out of sight. */
function keepPlace(element: HTMLElement, place: Place, { sessionId, transcript }: TranscriptProps): boolean {
  const firstSeq = transcript.messages[0]?.seq ?? 0;
  const height = element.scrollHeight;
  const tail = tailOf(transcript);
  const switched = place.sessionId !== sessionId;
  const prepended = !switched && place.firstSeq > 0 && firstSeq < place.firstSeq;
  if (switched) place.bottom = true;
  // Scrolled away in this very frame: its event comes only after the change that is being drawn.
  else if (place.height - element.scrollTop - place.room >= BOTTOM_PX) place.bottom = false;
  if (place.bottom) element.scrollTop = height;
  else if (prepended) element.scrollTop += height - place.height;
  const added = !switched && tail !== place.tail;
  Object.assign(place, { sessionId, firstSeq, tail, height, room: element.clientHeight });
  return !place.bottom && added;
}

function tailOf({ messages, open }: Data): string {
  return `${messages.at(-1)?.seq ?? 0}:${open.map((each) => each.text.length).join(",")}`;
}

function followSize(element: HTMLElement | null, place: Place): (() => void) | undefined {
  if (!element) return undefined;
  const observer = new ResizeObserver(() => {
    if (place.bottom && element.clientHeight > 0) element.scrollTop = element.scrollHeight;
    place.room = element.clientHeight;
  });
  observer.observe(element);
  return () => observer.disconnect();
}

function distance(element: HTMLElement): number {
  return element.scrollHeight - element.scrollTop - element.clientHeight;
}
