/**
 * One message by its role: what a person wrote, what the coding agent answered and thought, its plan, its tools, and
 * the system's own lines. The open message is the same view with a caret.
 */
import { Component } from "preact";
import type { Message, MessageFlags, MessageRole, ToolMetadata } from "../wire/message.ts";
import { Icon } from "./Icon.tsx";
import { ROLE } from "./labels.ts";
import { Markdown } from "./Markdown.tsx";
import { readPlan } from "./plan.ts";
import { Time } from "./Time.tsx";
import { ToolCard } from "./ToolCard.tsx";
import type { OpenMessage } from "./transcript.ts";

export interface MessageItemProps {
  message: Message;
  onWhole: (seq: number) => Promise<unknown>;
}

/** A stored message; drawn again only when the message itself changed. */
export class MessageItem extends Component<MessageItemProps> {
  override shouldComponentUpdate(next: MessageItemProps): boolean {
    return next.message !== this.props.message;
  }

  override render({ message, onWhole }: MessageItemProps) {
    return (
      <Body
        role={message.role}
        content={message.content}
        tool={message.toolMetadata}
        flags={message.flags}
        at={message.createdAt}
        truncated={message.truncated ?? false}
        bytes={message.contentBytes}
        onWhole={() => onWhole(message.seq)}
      />
    );
  }
}

/** The message that is being written right now. */
export function OpenItem({ message }: { message: OpenMessage }) {
  return <Body role={message.role} content={message.text} tool={message.toolMetadata} open />;
}

interface BodyProps {
  role: MessageRole;
  content: string;
  tool: ToolMetadata | null;
  flags?: MessageFlags | null;
  at?: string;
  open?: boolean;
  truncated?: boolean;
  bytes?: number | undefined;
  onWhole?: () => Promise<unknown>;
}

function Body(props: BodyProps) {
  const { role, at, open = false } = props;
  if (role === "system") return <SystemLine {...props} />;
  return (
    <article class={`message message-${role}`} aria-label={ROLE[role]} aria-busy={open ? "true" : undefined}>
      {role === "tool" || role === "thinking" ? null : (
        <header class="message-head">
          <span class="message-role">{ROLE[role]}</span>
          {at ? <Time at={at} /> : null}
        </header>
      )}
      <Content {...props} />
      <Flags flags={props.flags ?? null} />
    </article>
  );
}

function Content({ role, content, tool, at, open = false, truncated = false, bytes, onWhole }: BodyProps) {
  const caret = open ? <span class="caret" aria-hidden="true" /> : null;
  switch (role) {
    case "tool":
      return <ToolCard tool={tool} output={content} truncated={truncated} bytes={bytes} onWhole={onWhole} />;
    case "thinking":
      return (
        <details class="thinking">
          <summary>
            <Icon name="chevron" />
            {open ? "Thinking…" : "Thought"}
            {at ? <Time at={at} /> : null}
          </summary>
          <div class="prose">{content}{caret}</div>
        </details>
      );
    case "plan":
      return <Plan content={content} />;
    default:
      return (
        <>
          {role === "assistant" ? <Markdown text={content} live={open} /> : <div class="prose">{content}{caret}</div>}
          {truncated && onWhole
            ? <button type="button" class="link-button" onClick={() => void onWhole()}>Show the whole message</button>
            : null}
        </>
      );
  }
}

function Plan({ content }: { content: string }) {
  return (
    <ul class="plan">
      {readPlan(content).map((entry, index) => (
        <li class={`plan-${entry.state}`} key={index}>
          <span class="plan-mark" aria-hidden="true">{entry.state === "done" ? <Icon name="check" /> : null}</span>
          <span class="sr-only">{{ done: "Done: ", doing: "In progress: ", open: "Open: " }[entry.state]}</span>
          {entry.text}
        </li>
      ))}
    </ul>
  );
}

function SystemLine({ content, at }: BodyProps) {
  return (
    <div class="system-line">
      <span>{content}</span>
      {at ? <Time at={at} /> : null}
    </div>
  );
}

function Flags({ flags }: { flags: MessageFlags | null }) {
  if (!flags) return null;
  const marks = [
    flags.interrupted ? "[Response interrupted]" : "",
    flags.retry ? "Repeated after a dropped connection to the model" : "",
    flags.truncatedBytes ? `${flags.truncatedBytes.toLocaleString("en")} bytes were cut off` : "",
  ].filter(Boolean);
  return marks.length ? <p class="message-flags">{marks.join(" · ")}</p> : null;
}
