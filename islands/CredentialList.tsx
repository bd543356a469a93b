/** What a person stored for each provider: when, whether it is accepted, and how to change it. No secret comes back. */
import { type Signal, useSignal } from "@preact/signals";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import { Time } from "../lib/ui/Time.tsx";
import { type Credential, credential, credentialCheck, type CredentialProvider } from "../lib/wire/credential.ts";
import { call } from "./_api.ts";
import { failureAt, type FormFailure } from "./_field_errors.ts";

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
  git: {
    name: "Git",
    label: "token",
    hint: "With which machines read and push private repositories over https. Of a token that can be limited, give " +
      "reading and writing of contents. Coding agents are not given it.",
  },
};

const HOST = { label: "Git host", hint: "As in the addresses of the repositories, for example github.com." };
const USER = { label: "Git user name", hint: "Only where the host wants a certain one; GitHub and GitLab do not." };

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
  const host = useSignal(props.stored?.host ?? "");
  const username = useSignal("");
  const busy = useSignal(false);
  const failure = useSignal<FormFailure | null>(null);
  const said = useSignal<Said>(null);
  const path = `/api/credentials/${props.provider}`;
  const id = `credential-${props.provider}`;
  const isGit = props.provider === "git";
  const isComplete = secret.value.trim() !== "" && (!isGit || host.value.trim() !== "");

  const work = async (act: () => Promise<Said>) => {
    [busy.value, failure.value, said.value] = [true, null, null];
    try {
      said.value = await act();
    } catch (thrown) {
      failure.value = failureAt(thrown, ["secret", "host", "username"]);
    }
    busy.value = false;
  };
  const save = () =>
    work(async () => {
      const named = isGit ? { host: host.value, username: username.value.trim() || undefined } : {};
      stored.value = await call(path, { method: "PUT", body: { secret: secret.value, ...named }, answer: credential });
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

  /** What names no field is told at the secret. */
  const errorAt = (field: string) =>
    failure.value && (failure.value.field ?? "secret") === field ? failure.value.message : null;

  return (
    <section class="panel stack" aria-labelledby={`${id}-title`}>
      <h2 id={`${id}-title`}>{name}</h2>
      <p class="muted">
        {stored.value
          ? (
            <>
              Stored <Time at={stored.value.updatedAt} />
              {stored.value.host ? ` for ${stored.value.host}` : ""}.
            </>
          )
          : "Nothing is stored."}
      </p>
      {said.value ? <Notice kind={said.value.kind}>{said.value.text}</Notice> : null}
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (isComplete && !busy.value) void save();
        }}
      >
        {isGit
          ? (
            <>
              <TextField id={`${id}-host`} {...HOST} value={host} busy={busy} error={errorAt("host")} />
              <TextField id={`${id}-username`} {...USER} value={username} busy={busy} error={errorAt("username")} />
            </>
          )
          : null}
        <TextField
          id={id}
          label={`${name} ${label}`}
          hint={hint}
          isSecret
          value={secret}
          busy={busy}
          error={errorAt("secret")}
        />
        <div class="row">
          <button type="submit" class="button primary" disabled={busy.value || !isComplete}>
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

interface TextFieldProps {
  id: string;
  label: string;
  hint: string;
  isSecret?: boolean;
  value: Signal<string>;
  busy: Signal<boolean>;
  error: string | null;
}

function TextField({ id, label, hint, isSecret = false, value, busy, error }: TextFieldProps) {
  const attributes = {
    ...fieldProps({ id, hint, error }),
    autoComplete: "off",
    autoCapitalize: "off" as const,
    spellcheck: false,
    value: value.value,
    disabled: busy.value,
    onInput: (event: { currentTarget: HTMLInputElement }) => void (value.value = event.currentTarget.value),
  };
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      {isSecret ? <input {...attributes} type="password" /> : <input {...attributes} type="text" />}
    </Field>
  );
}
