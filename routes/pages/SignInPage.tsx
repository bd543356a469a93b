/** Sign-in with an API key, or at GitHub. A plain form and a link, so that it works before and without any script. */
import { Field, fieldProps } from "../../lib/ui/Field.tsx";
import { Notice } from "../../lib/ui/Notice.tsx";
import { Layout } from "../_layout.tsx";

export interface SignInPageProps {
  /** Why the last try was refused, shown at the field. */
  error?: string;
  /** Why signing in at GitHub came to nothing. */
  notice?: string;
  githubEnabled: boolean;
}

const HINT = "It begins with hk_. The terminal printed the first one when Hearth started.";

export function SignInPage({ error, notice, githubEnabled }: SignInPageProps) {
  return (
    <Layout me={null}>
      <main class="page sign-in">
        <h1>Sign in</h1>
        {notice ? <Notice kind="error">{notice}</Notice> : null}
        <form class="panel stack" method="post" action="/signin">
          <Field id="apiKey" label="API key" hint={HINT} error={error}>
            <input
              {...fieldProps({ id: "apiKey", hint: HINT, error })}
              name="apiKey"
              type="password"
              autoComplete="current-password"
              maxLength={200}
              required
              autofocus
            />
          </Field>
          <button type="submit" class="button primary wide">Sign in</button>
        </form>
        {githubEnabled ? <a class="button wide" href="/auth/github">Sign in with GitHub</a> : null}
      </main>
    </Layout>
  );
}
