/** Who works in a project: the list for everybody in it, letting people in and shutting them out for its owner. */
import { type Signal, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { ConfirmButton } from "../lib/ui/ConfirmButton.tsx";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { Notice } from "../lib/ui/Notice.tsx";
import { NAME_MAX } from "../lib/wire/limits.ts";
import { type Member, member, type Project } from "../lib/wire/project.ts";
import { call, sentenceOf } from "./_api.ts";
import { failureAt, type FormFailure } from "./_field_errors.ts";

export interface MembersProps {
  project: Project;
  members: Member[];
  /** May change who is in it. */
  manages: boolean;
  meId: string;
}

const HINT = "Their login name here. They see every conversation of this project, and may prompt any of its sessions.";

export function Members({ project, members, manages, meId }: MembersProps) {
  const people = useSignal(members);
  const failure = useSignal<string | null>(null);
  const path = `/api/projects/${project.id}/members`;
  const remove = async (person: Member) => {
    failure.value = null;
    try {
      await call(`${path}/${person.userId}`, { method: "DELETE" });
      people.value = people.value.filter((each) => each.userId !== person.userId);
    } catch (error) {
      failure.value = sentenceOf(error);
    }
  };
  return (
    <section class="panel stack" aria-labelledby="members">
      <h2 id="members">Members</h2>
      {failure.value ? <Notice kind="error" title="Nobody was removed">{failure.value}</Notice> : null}
      <ul class="members">
        {people.value.map((person) => (
          <li class="member" key={person.userId}>
            <span class="member-mark" aria-hidden="true">{initialOf(person)}</span>
            <span class="member-name">
              <strong class="clip">{person.displayName}{person.userId === meId ? " (you)" : ""}</strong>
              {person.login === person.displayName ? null : <span class="muted small clip">{person.login}</span>}
            </span>
            <span class="badge">{person.role === "owner" ? "Owner" : "Member"}</span>
            {manages && person.role !== "owner"
              ? (
                <ConfirmButton
                  class="button small quiet"
                  question="Remove from the project?"
                  onConfirm={() => void remove(person)}
                >
                  Remove
                </ConfirmButton>
              )
              : null}
          </li>
        ))}
      </ul>
      {manages
        ? <AddMember path={path} people={people} />
        : <p class="field-hint">The owner lets people in and out.</p>}
    </section>
  );
}

function AddMember({ path, people }: { path: string; people: Signal<Member[]> }) {
  const login = useSignal("");
  const failure = useSignal<FormFailure | null>(null);
  const added = useSignal("");
  const busy = useSignal(false);
  const field = useRef<HTMLInputElement>(null);
  const add = async () => {
    const name = login.value.trim();
    [added.value, failure.value] = ["", name ? null : { field: "login", message: "Say whom to let in." }];
    if (!name || busy.value) return;
    busy.value = true;
    try {
      const person = await call(path, { method: "POST", body: { login: name }, answer: member });
      const known = people.value.some((each) => each.userId === person.userId);
      if (!known) people.value = [...people.value, person];
      added.value = known ? `${person.displayName} is in the project already.` : `${person.displayName} is in.`;
      login.value = "";
    } catch (error) {
      failure.value = { ...failureAt(error, ["login"]), message: sentenceOf(error) };
    }
    busy.value = false;
    field.current?.focus();
  };
  const error = failure.value?.message ?? null;
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <Field id="member-login" label="Add a member" hint={HINT} error={error} said={added.value}>
        <div class="row">
          <input
            {...fieldProps({ id: "member-login", hint: HINT, error })}
            ref={field}
            maxLength={NAME_MAX}
            autoComplete="off"
            autoCapitalize="none"
            spellcheck={false}
            value={login.value}
            readOnly={busy.value}
            onInput={(event) => (login.value = event.currentTarget.value)}
          />
          <button type="submit" class="button" disabled={busy.value}>Add</button>
        </div>
      </Field>
    </form>
  );
}

/** The first letter of a name, whatever plane it lies on. */
function initialOf(person: Member): string {
  return ([...person.displayName.trim()][0] ?? "?").toUpperCase();
}
