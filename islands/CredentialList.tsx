/** What a person stored for each provider: when, whether it is accepted, and how to change it. No secret comes back. */
import { useSignal } from "@preact/signals";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import { Time } from "../lib/ui/Time.tsx";
import { type Credential, credential, credentialCheck, type CredentialProvider } from "../lib/wire/credential.ts";
import { call } from "./_api.ts";
import { failureAt } from "./_field_errors.ts";

const PROVIDERS: Record<CredentialProvider, { name: string; label: string; hint: string }> = {
  hetzner: {
    name: "Hetzner Cloud",
    label: "API token",
    hint: "With read and write access, of a project that holds nothing else. Machines are rented and paid under it.",
  },
  anthropic: {
    name: "Anthropic",
    label: "API key",
    hint: "For Claude Code. Use a key with a limit: coding agents see it.",
  },
  openai: { name: "OpenAI", label: "API key", hint: "For Codex. Use a key with a limit: coding agents see it." },
  google: { name: "Google", label: "API key", hint: "For Gemini. Use a key with a limit: coding agents see it." },
};

type Said = { kind: "info" | "warning"; text: string } | null;

export interface CredentialListProps {
  credentials: Credential[];
  /** In the order in which they are shown. */
  providers: CredentialProvider[];
}

export default function CredentialList({ credentials, providers }: CredentialListProps) {
  return (
    <>
      {providers.map((provider) => (
        <CredentialCard
          key={provider}
          provider={provider}
          stored={credentials.find((each) => each.provider === provider) ?? null}
        />
      ))}
    </>
  );
}

function CredentialCard(props: { provider: CredentialProvider; stored: Credential | null }) {
  const { name, label, hint } = PROVIDERS[props.provider];
  const stored = useSignal(props.stored);
  const secret = useSignal("");
  const busy = useSignal(false);
  const error = useSignal<string | null>(null);
  const said = useSignal<Said>(null);
  const path = `/api/credentials/${props.provider}`;
  const id = `credential-${props.provider}`;

  const work = async (act: () => Promise<Said>) => {
    [busy.value, error.value, said.value] = [true, null, null];
    try {
      said.value = await act();
    } catch (thrown) {
      error.value = failureAt(thrown, ["secret"]).message;
    }
    busy.value = false;
  };
  const save = () =>
    work(async () => {
      stored.value = await call(path, { method: "PUT", body: { secret: secret.value }, answer: credential });
      secret.value = "";
      return { kind: "info", text: "Stored." };
    });
  const check = () =>
    work(async () => {
      const { ok, message } = await call(`${path}/check`, { method: "POST", answer: credentialCheck });
      return { kind: ok ? "info" : "warning", text: message };
    });
  const remove = () =>
    work(async () => {
      await call(path, { method: "DELETE" });
      stored.value = null;
      return { kind: "info", text: "Removed." };
    });

  return (
    <section class="panel stack" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{name}</h2>
      <p class="muted">
        {stored.value
          ? (
            <>
              Stored <Time at={stored.value.updatedAt} />.
            </>
          )
          : "Nothing is stored."}
      </p>
      {said.value ? <Notice kind={said.value.kind}>{said.value.text}</Notice> : null}
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (secret.value.trim() && !busy.value) void save();
        }}
      >
        <Field id={id} label={`${name} ${label}`} hint={hint} error={error.value}>
          <input
            {...fieldProps({ id, hint, error: error.value })}
            type="password"
            autoComplete="off"
            value={secret.value}
            disabled={busy.value}
            onInput={(event) => (secret.value = event.currentTarget.value)}
          />
        </Field>
        <div class="row">
          <button type="submit" class="button primary" disabled={busy.value || !secret.value.trim()}>
            {stored.value ? "Replace" : "Store"}
          </button>
          {stored.value
            ? (
              <>
                <button type="button" class="button" disabled={busy.value} onClick={() => void check()}>Check</button>
                <ConfirmButton question="Remove it?" disabled={busy.value} onConfirm={() => void remove()}>
                  Remove
                </ConfirmButton>
              </>
            )
            : null}
        </div>
      </form>
    </section>
  );
}
