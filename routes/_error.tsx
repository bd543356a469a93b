/** The page for what went wrong: what happened, why, what to do, and the id to quote. */
import { Layout } from "./_layout.tsx";
import type { User } from "../lib/wire/account.ts";

export interface ErrorPageProps {
  me?: User | null;
  status: number;
  title: string;
  message: string;
  requestId: string;
}

export function ErrorPage({ me = null, status, title, message, requestId }: ErrorPageProps) {
  return (
    <Layout me={me}>
      <main class="page narrow">
        <p class="muted">{`Error ${status}`}</p>
        <h1>{title}</h1>
        <p>{message}</p>
        <div class="row">
          <a class="button primary" href="/projects">Go to your projects</a>
          {status >= 500 ? <a class="button" href="">Try again</a> : null}
        </div>
        <p class="muted small">
          Request id <code>{requestId}</code>
        </p>
      </main>
    </Layout>
  );
}
