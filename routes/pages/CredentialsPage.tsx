/** What a person stored for providers. */
import CredentialList, { type CredentialListProps } from "../../islands/CredentialList.tsx";
import type { User } from "../../lib/wire/account.ts";
import { Layout } from "../_layout.tsx";

export interface CredentialsPageProps extends CredentialListProps {
  me: User;
}

export function CredentialsPage({ me, credentials, providers }: CredentialsPageProps) {
  return (
    <Layout me={me} current="credentials">
      <main class="page">
        <h1>Credentials</h1>
        <p>
          Runs that you start use them, and nobody else's do. They are stored encrypted and never shown again.
        </p>
        <CredentialList credentials={credentials} providers={providers} />
      </main>
    </Layout>
  );
}
