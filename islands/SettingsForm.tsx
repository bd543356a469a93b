/** A project's settings. Choices are saved when they are made; texts when the field is left or Enter is pressed. */
import { useSignal } from "@preact/signals";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { VM_SIZE } from "../lib/ui/labels.ts";
import { Notice } from "../lib/ui/Notice.tsx";
import type { Options } from "../lib/wire/account.ts";
import { type PatchProject, type Project, project as projectSchema } from "../lib/wire/project.ts";
import { call, sentenceOf } from "./_api.ts";

export interface SettingsFormProps {
  project: Project;
  options: Options;
}

type FieldName = "name" | "repositoryUrl" | "defaultBranch" | "defaultVmSize" | "codingAgent";
type Note = { field: FieldName; state: "saving" | "saved" } | { field: FieldName; state: "failed"; message: string };

export default function SettingsForm({ project, options }: SettingsFormProps) {
  const saved = useSignal(project);
  const note = useSignal<Note | null>(null);
  const save = async (field: FieldName, value: string | null) => {
    if (saved.value[field] === value) return;
    note.value = { field, state: "saving" };
    try {
      const body = { [field]: value } as PatchProject;
      saved.value = await call(`/api/projects/${project.id}`, { method: "PATCH", body, answer: projectSchema });
      note.value = { field, state: "saved" };
    } catch (error) {
      note.value = { field, state: "failed", message: sentenceOf(error) };
    }
  };
  const parts = { saved: saved.value, note: note.value, save };

  return (
    <div class="stack">
      <section class="panel stack" aria-labelledby="general">
        <h2 id="general">General</h2>
        <TextSetting {...parts} field="name" label="Name" />
        <TextSetting {...parts} field="repositoryUrl" label="Repository" />
        <TextSetting
          {...parts}
          field="defaultBranch"
          label="Default branch"
          hint="New task branches start from here."
        />
      </section>
      <section class="panel stack" aria-labelledby="running">
        <h2 id="running">Running tasks</h2>
        <ChoiceSetting
          {...parts}
          field="defaultVmSize"
          label="Default VM size"
          hint="A task may ask for another one."
          choices={[
            { value: "", label: "Platform default (Small)" },
            ...options.vmSizes.map((size) => ({ value: size, label: VM_SIZE[size] })),
          ]}
        />
        <ChoiceSetting
          {...parts}
          field="codingAgent"
          label="Coding agent"
          choices={options.codingAgents.map((agent) => ({ value: agent.id, label: agent.label }))}
        />
      </section>
      <DangerZone project={saved.value} />
    </div>
  );
}

interface SettingProps {
  saved: Project;
  note: Note | null;
  save: (field: FieldName, value: string | null) => Promise<void>;
  field: FieldName;
  label: string;
  hint?: string;
}

function TextSetting({ saved, note, save, field, label, hint }: SettingProps) {
  const id = `setting-${field}`;
  const error = errorOf(note, field);
  const text = useSignal(String(saved[field] ?? ""));
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <div class="row">
        <input
          {...fieldProps({ id, hint, error })}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onChange={() => void save(field, text.value.trim())}
        />
        <SavedMark note={note} field={field} />
      </div>
    </Field>
  );
}

interface ChoiceProps extends SettingProps {
  choices: { value: string; label: string }[];
}

function ChoiceSetting({ saved, note, save, field, label, hint, choices }: ChoiceProps) {
  const id = `setting-${field}`;
  const error = errorOf(note, field);
  const current = saved[field] ?? "";
  return (
    <Field id={id} label={label} hint={hint} error={error}>
      <div class="row">
        <select
          {...fieldProps({ id, hint, error })}
          onChange={(event) => void save(field, event.currentTarget.value || null)}
        >
          {choices.map((choice) => (
            <option key={choice.value} value={choice.value} selected={choice.value === current}>{choice.label}</option>
          ))}
        </select>
        <SavedMark note={note} field={field} />
      </div>
    </Field>
  );
}

function SavedMark({ note, field }: { note: Note | null; field: FieldName }) {
  const mine = note?.field === field ? note.state : null;
  return <span class="saved" role="status">{mine === "saving" ? "Saving…" : mine === "saved" ? "Saved" : ""}</span>;
}

function errorOf(note: Note | null, field: FieldName): string | null {
  return note?.field === field && note.state === "failed" ? note.message : null;
}

function DangerZone({ project }: { project: Project }) {
  const failure = useSignal<string | null>(null);
  const busy = useSignal(false);
  const remove = async () => {
    busy.value = true;
    try {
      await call(`/api/projects/${project.id}`, { method: "DELETE" });
      location.assign("/projects");
    } catch (error) {
      failure.value = sentenceOf(error);
      busy.value = false;
    }
  };
  return (
    <section class="panel danger-zone stack" aria-labelledby="danger">
      <h2 id="danger">Danger zone</h2>
      {failure.value ? <Notice kind="error" title="The project was not deleted">{failure.value}</Notice> : null}
      <p>
        Deletes the project with all its tasks and conversations. Branches that were pushed stay in the repository.
      </p>
      <div class="row">
        <ConfirmButton
          question={`Delete ${project.name} for good?`}
          disabled={busy.value}
          onConfirm={() => void remove()}
        >
          Delete project
        </ConfirmButton>
      </div>
    </section>
  );
}
