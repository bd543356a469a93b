/**
 * A whole conversation as a file: JSON lines for programs, Markdown for people. It is read page by page while it is
 * sent, so that its length costs no memory, and ends with the message that was the last one at its beginning.
 */
import type { Edge } from "../edge.ts";
import { toBytes } from "../bytes.ts";
import { listMessages, readMessage } from "../store/messages.ts";
import type { SessionRecord } from "../store/sessions.ts";
import { toIso } from "../store/time.ts";
import type { Message, MessageRole } from "../wire/message.ts";

const PAGE = 100;

export type ExportFormat = "jsonl" | "md";

const TYPES: Record<ExportFormat, string> = {
  jsonl: "application/jsonl; charset=utf-8",
  md: "text/markdown; charset=utf-8",
};

const HEADINGS: Record<MessageRole, string> = {
  user: "Person",
  assistant: "Agent",
  system: "Hearth",
  tool: "Tool",
  thinking: "Thought",
  plan: "Plan",
};

/** The session's messages as a download, in the order of their numbers, each whole. */
export function exportSession(edge: Edge, session: SessionRecord, format: ExportFormat): Response {
  const pieces = format === "md" ? toMarkdown(edge, session) : toLines(edge, session);
  return new Response(toStream(pieces), {
    headers: {
      "content-type": TYPES[format],
      "content-disposition": `attachment; filename="session-${session.id}.${format}"`,
    },
  });
}

async function* toLines(edge: Edge, session: SessionRecord): AsyncGenerator<string> {
  for await (const message of wholeMessages(edge, session)) yield `${JSON.stringify(message)}\n`;
}

async function* toMarkdown(edge: Edge, session: SessionRecord): AsyncGenerator<string> {
  yield `# ${(session.topic ?? "Conversation").replaceAll(/\s+/g, " ")}\n\nBegun ${toIso(session.createdAt)}\n`;
  for await (const message of wholeMessages(edge, session)) yield describe(message);
}

/** Every message up to the one that is the last one now; long content is read on its own. */
async function* wholeMessages(edge: Edge, session: SessionRecord): AsyncGenerator<Message> {
  for (let after = 0; after < session.lastSeq;) {
    const { items } = await listMessages(edge.store, session, { after, limit: PAGE });
    if (items.length === 0) return;
    for (const item of items) {
      if (item.seq > session.lastSeq) return;
      yield item.truncated ? await readMessage(edge.store, session.id, item.seq) ?? item : item;
    }
    after = items.at(-1)!.seq;
  }
}

function describe(message: Message): string {
  const { toolMetadata: tool, flags } = message;
  const marks = [
    tool && tool.status !== "completed" ? tool.status : "",
    flags?.interrupted ? "interrupted" : "",
    flags?.truncatedBytes ? `${flags.truncatedBytes} bytes cut` : "",
  ].filter(Boolean);
  const subject = tool ? ` ${tool.tool}${tool.target ? ` · ${tool.target}` : ""}` : "";
  const heading = `\n## ${HEADINGS[message.role]}${subject.replaceAll(/\s+/g, " ")}${
    marks.length ? ` (${marks.join(", ")})` : ""
  }\n\n*${message.createdAt}*\n\n`;
  const body = message.role === "tool" ? fence(message.content) : `${message.content}\n`;
  return heading + body + (tool?.diff ? fence(tool.diff, "diff") : "");
}

/** A code block that its own text cannot end. */
function fence(text: string, language = ""): string {
  const longest = text.match(/`+/g)?.reduce((most, ticks) => Math.max(most, ticks.length), 2) ?? 2;
  const ticks = "`".repeat(longest + 1);
  return `${ticks}${language}\n${text.replace(/\n$/, "")}\n${ticks}\n`;
}

/** Reads on only when the receiver has room; a receiver that goes away ends the reading. */
function toStream(pieces: AsyncGenerator<string>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done) controller.close();
      else controller.enqueue(toBytes(value));
    },
    async cancel() {
      await pieces.return(undefined);
    },
  });
}
