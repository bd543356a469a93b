/** The API for people: every call of the OpenAPI document with who may make it, what it takes and what it answers. */
import type { User } from "../../lib/wire/account.ts";
import { Layout } from "../_layout.tsx";

export interface ApiCall {
  /** Where on the page it stands. */
  id: string;
  method: string;
  path: string;
  summary: string;
  /** Who calls, in words. */
  caller: string;
  query: { name: string; type: string }[];
  /** Takes `Idempotency-Key`. */
  idempotent: boolean;
  body: string | null;
  status: string;
  answer: string | null;
}

export interface ApiPageProps {
  me: User | null;
  version: string;
  groups: { title: string; calls: ApiCall[] }[];
  /** What an error looks like. */
  problem: string;
}

export function ApiPage({ me, version, groups, problem }: ApiPageProps) {
  return (
    <Layout me={me}>
      <main class="page api">
        <h1>API</h1>
        <p class="lead">
          The calls of Hearth {version}. Programs read the same as <a class="link" href="/openapi.json">OpenAPI</a>.
        </p>
        <section class="panel stack" aria-labelledby="conventions">
          <h2 id="conventions">For all calls</h2>
          <p>
            Send an API key as <code>Authorization: Bearer hk_…</code>, and bodies as JSON. A list answers{" "}
            <code>items</code> and <code>nextCursor</code>; give that as <code>cursor</code>{" "}
            for the next page. Calls that take an <code>Idempotency-Key</code>{" "}
            may be repeated with the same key: within a day they create nothing twice.
          </p>
          <p>Every error has this shape:</p>
          <Shape text={problem} />
        </section>
        {groups.map(({ title, calls }) => (
          <section class="stack" key={title} aria-labelledby={title}>
            <h2 id={title}>{title}</h2>
            {calls.map((call) => <CallPanel key={call.id} call={call} />)}
          </section>
        ))}
      </main>
    </Layout>
  );
}

function CallPanel({ call }: { call: ApiCall }) {
  const { id, method, path, summary, caller, query, idempotent, body, status, answer } = call;
  return (
    <article class="panel stack api-call" id={id} aria-label={`${method} ${path}`}>
      <p>
        <code>
          <strong>{method}</strong> {path}
        </code>
      </p>
      <p>{summary}</p>
      <p class="muted small">
        {caller}
        {idempotent ? " · takes Idempotency-Key" : ""}
      </p>
      {query.length > 0
        ? (
          <>
            <p class="muted small">In the query</p>
            <Shape text={query.map(({ name, type }) => `${name}: ${type}`).join("\n")} />
          </>
        )
        : null}
      {body === null ? null : (
        <>
          <p class="muted small">Body</p>
          <Shape text={body} />
        </>
      )}
      <p class="muted small">Answer {status}</p>
      {answer === null ? null : <Shape text={answer} />}
    </article>
  );
}

function Shape({ text }: { text: string }) {
  // Can be reached by keyboard, because it scrolls where it is wider than the page.
  return <pre class="api-shape" tabIndex={0}>{text}</pre>;
}
