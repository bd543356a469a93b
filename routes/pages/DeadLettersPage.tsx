/** What a machine could not deliver: how many of it lie on the machine, and those that it has handed over. */
import type { ComponentChildren } from "preact";
import { plural } from "../../lib/ui/labels.ts";
import { Empty, Notice } from "../../lib/ui/Notice.tsx";
import { Time } from "../../lib/ui/Time.tsx";
import type { User } from "../../lib/wire/account.ts";
import type { KeptDeadLetter } from "../../lib/wire/dead_letter.ts";
import type { Node } from "../../lib/wire/node.ts";
import { Layout } from "../_layout.tsx";

export interface DeadLettersPageProps {
  me: User;
  node: Node;
  letters: KeptDeadLetter[];
  nextCursor: string | null;
  /** Only those of this session are shown. */
  sessionId?: string;
}

export function DeadLettersPage({ me, node, letters, nextCursor, sessionId }: DeadLettersPageProps) {
  const path = `/nodes/${node.id}/dead-letters`;
  const onIt = node.heartbeat?.deadLetters ?? 0;
  return (
    <Layout me={me} current="nodes">
      <main class="page">
        <h1>Dead letters of machine {node.id.slice(-8)}</h1>
        <p>
          Messages that could not be delivered, and are not part of their conversations.{" "}
          {sessionId ? <a class="link" href={path}>Show those of all sessions</a> : null}
        </p>
        {onIt > 0
          ? (
            <Notice kind="warning" title={`${plural(onIt, "message")} on the machine itself`}>
              They are handed over before it goes. Until then see them there with{" "}
              <code>hearth-agent outbox list</code>, and send them again with <code>hearth-agent outbox retry</code>.
            </Notice>
          )
          : null}
        {letters.length === 0
          ? <Empty title="Nothing was handed over">What a machine hands over is kept here for 30 days.</Empty>
          : (
            <ul class="nodes">
              {letters.map((letter) => (
                <li key={letter.messageId}>
                  <Letter letter={letter} path={path} />
                </li>
              ))}
            </ul>
          )}
        {nextCursor ? <a class="button" href={nextPage(path, nextCursor, sessionId)}>Next page</a> : null}
      </main>
    </Layout>
  );
}

function Letter({ letter, path }: { letter: KeptDeadLetter; path: string }) {
  const { messageId, role, reason, status, content, truncated, timestamp, deadAt, expiresAt } = letter;
  return (
    <article class="panel stack" aria-label={`Message ${messageId.slice(-8)}`}>
      <dl class="node-facts">
        <Fact name="From">{role}</Fact>
        <Fact name="Reason">{status === null ? reason : `${reason} (${status})`}</Fact>
        <Fact name="Said">{timestamp.slice(0, 19).replace("T", " ")}</Fact>
        <Fact name="Given up">
          <Time at={deadAt} />
        </Fact>
        <Fact name="Kept until">
          <Time at={expiresAt} />
        </Fact>
      </dl>
      <pre class="install-line" tabIndex={0} aria-label="What it says">{content}</pre>
      {truncated ? <a class="link" href={`/api${path}/${messageId}`}>The whole message</a> : null}
    </article>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function nextPage(path: string, cursor: string, sessionId: string | undefined): string {
  return `${path}?${new URLSearchParams({ cursor, ...(sessionId !== undefined && { sessionId }) })}`;
}
