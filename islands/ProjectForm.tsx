/** Creates a project and goes to it. */
import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { newId } from "../lib/ids.ts";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import { NAME_MAX, URL_MAX } from "../lib/wire/limits.ts";
import { project } from "../lib/wire/project.ts";
import { call } from "./_api.ts";
import { failureAt, type FormFailure } from "./_field_errors.ts";

const FIELDS = ["name", "repositoryUrl", "defaultBranch"] as const;

export interface ProjectFormProps {
  /** Local paths are taken where the edge starts machines on its own host. */
  localPaths: boolean;
}

export default function ProjectForm({ localPaths }: ProjectFormProps) {
  const values = useSignal({ name: "", repositoryUrl: "", defaultBranch: "main" });
  const failure = useSignal<FormFailure | null>(null);
  const busy = useSignal(false);
  const sending = useRef({ body: "", key: "" });

  const submit = async () => {
    failure.value = checkValues(values.value);
    if (failure.value || busy.value) return;
    busy.value = true;
    const body = JSON.stringify(values.value);
    if (sending.current.body !== body) sending.current = { body, key: newId() };
    try {
      const made = await call("/api/projects", {
        method: "POST",
        body: values.value,
        answer: project,
        idempotencyKey: sending.current.key,
      });
      location.assign(`/projects/${made.id}`);
    } catch (error) {
      failure.value = failureAt(error, FIELDS);
      busy.value = false;
    }
  };
  const input = (field: (typeof FIELDS)[number], hint?: string) => ({
    ...fieldProps({ id: `project-${field}`, error: errorOf(field), ...(hint ? { hint } : {}) }),
    value: values.value[field],
    disabled: busy.value,
    onInput: (event: { currentTarget: HTMLInputElement }) => {
      values.value = { ...values.value, [field]: event.currentTarget.value };
    },
  });
  const errorOf = (field: string) => failure.value?.field === field ? failure.value.message : null;
  const hint = localPaths
    ? "https://, ssh://, git@host:path, or a path on this machine"
    : "https://, ssh:// or git@host:path";

  return (
    <form
      class="stack"
      aria-label="New project"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {failure.value && !failure.value.field
        ? <Notice kind="error" title="The project was not created">{failure.value.message}</Notice>
        : null}
      <Field id="project-name" label="Name" error={errorOf("name")}>
        <input {...input("name")} maxLength={NAME_MAX} autoComplete="off" />
      </Field>
      <Field id="project-repositoryUrl" label="Repository" hint={hint} error={errorOf("repositoryUrl")}>
        <input {...input("repositoryUrl", hint)} maxLength={URL_MAX} autoComplete="off" />
      </Field>
      <Field id="project-defaultBranch" label="Default branch" error={errorOf("defaultBranch")}>
        <input {...input("defaultBranch")} autoComplete="off" />
      </Field>
      <div class="row">
        <button type="submit" class="button primary" disabled={busy.value}>
          {busy.value ? <span class="spinner" aria-hidden="true" /> : null}
          Create project
        </button>
      </div>
    </form>
  );
}

function checkValues(values: Record<(typeof FIELDS)[number], string>): FormFailure | null {
  if (!values.name.trim()) return { field: "name", message: "Give the project a name." };
  if (!values.repositoryUrl.trim()) return { field: "repositoryUrl", message: "Say where the repository is." };
  if (!values.defaultBranch.trim()) return { field: "defaultBranch", message: "Name the branch to start from." };
  return null;
}
