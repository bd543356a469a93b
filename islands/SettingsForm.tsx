/**
 * A project's settings. Choices are saved when they are made, texts when the field is left or Enter is pressed. What
 * only the owner may change is shown to members as it is.
 */
import { useMemo } from "preact/hooks";
import { VM_SIZE } from "../lib/ui/labels.ts";
import type { Options, User } from "../lib/wire/account.ts";
import type { Member, Project } from "../lib/wire/project.ts";
import { DangerZone } from "./_DangerZone.tsx";
import { Members } from "./_Members.tsx";
import { ChoiceSetting, Settings, TextSetting } from "./_settings.tsx";

export interface SettingsFormProps {
  me: User;
  project: Project;
  members: Member[];
  options: Options;
}

const OWNERS_ONLY = "Only the owner of the project can change this.";

export default function SettingsForm({ me, project, members, options }: SettingsFormProps) {
  const settings = useMemo(() => new Settings(project), []);
  const owner = project.ownerId === me.id;
  const manages = owner || me.role === "admin";
  const locked = manages ? null : OWNERS_ONLY;
  const agent = options.codingAgents.find((each) => each.id === settings.saved.value.codingAgent);
  return (
    <div class="stack">
      <section class="panel stack" aria-labelledby="general">
        <h2 id="general">General</h2>
        <TextSetting settings={settings} name="name" label="Name" />
        <TextSetting settings={settings} name="repositoryUrl" label="Repository" locked={locked} />
        <TextSetting
          settings={settings}
          name="defaultBranch"
          label="Default branch"
          hint="New task branches start from here."
        />
      </section>
      <section class="panel stack" aria-labelledby="running">
        <h2 id="running">Running tasks</h2>
        <ChoiceSetting
          settings={settings}
          name="codingAgent"
          label="Coding agent"
          hint={agent?.credential
            ? "It runs with the key of whoever starts the task, stored under Credentials."
            : "It needs no key."}
          choices={options.codingAgents.map(({ id, label }) => ({ value: id, label }))}
        />
        <ChoiceSetting
          settings={settings}
          name="permissionMode"
          label="Permissions of the coding agent"
          hint="When it asks, the question waits in the chat for somebody's answer."
          locked={locked}
          choices={[
            { value: "autonomous", label: "It works without asking" },
            { value: "ask", label: "It asks before it changes or runs something" },
          ]}
        />
        {settings.saved.value.permissionMode === "ask"
          ? (
            <ChoiceSetting
              settings={settings}
              name="askPolicy"
              label="What goes ahead without asking"
              hint="Commands, and whatever leads out of the checkout, are always asked."
              locked={locked}
              choices={[
                { value: "", label: "Reading and editing files of the checkout" },
                { value: "edits", label: "Reading files of the checkout" },
                { value: "all", label: "Nothing" },
              ]}
            />
          )
          : null}
        <ChoiceSetting
          settings={settings}
          name="defaultVmSize"
          label="Default VM size"
          hint="A task may ask for another one."
          choices={[
            { value: "", label: `Platform default (${VM_SIZE.small})` },
            ...options.vmSizes.map((size) => ({ value: size, label: VM_SIZE[size] })),
          ]}
        />
        <div class="pair">
          <TextSetting settings={settings} name="maxCostUsdPerRun" label="Most cost of a run, in US$" numeric />
          <TextSetting settings={settings} name="maxMinutesPerRun" label="Most minutes of a run" numeric />
          <TextSetting settings={settings} name="maxTurnsPerRun" label="Most turns of a run" numeric />
        </div>
        <p class="field-hint">
          Keys for models and providers are each person's own: <a class="link" href="/credentials">Credentials</a>.
        </p>
      </section>
      <Members project={project} members={members} manages={manages} meId={me.id} />
      {owner ? <DangerZone project={settings.saved.value} /> : null}
    </div>
  );
}
