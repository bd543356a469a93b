/**
 * A project's settings as they are saved: each by itself, one after the other, so that the last choice made is the one
 * that stays. A text that is refused stays in its field with the reason; a choice goes back to what is saved.
 */
import { type Signal, signal, useSignal } from "@preact/signals";
import { Field, fieldProps } from "../lib/ui/Field.tsx";
import { type PatchProject, type Project, project as projectSchema } from "../lib/wire/project.ts";
import { call, sentenceOf } from "./_api.ts";
import { failureAt } from "./_field_errors.ts";

export type SettingName =
  | "name"
  | "repositoryUrl"
  | "defaultBranch"
  | "defaultVmSize"
  | "codingAgent"
  | "permissionMode"
  | "askPolicy"
  | LimitName;

type LimitName = typeof LIMITS[number];
/** Numbers among the settings; nothing is no limit. */
const LIMITS = ["maxCostUsdPerRun", "maxMinutesPerRun", "maxTurnsPerRun"] as const;

type Note = { state: "saving" | "saved" } | { state: "failed"; message: string };

export class Settings {
  readonly saved: Signal<Project>;
  readonly notes: Signal<Partial<Record<SettingName, Note>>> = signal({});
  #last: Promise<unknown> = Promise.resolve();

  constructor(project: Project) {
    this.saved = signal(project);
  }

  textOf(name: SettingName): string {
    const project = this.saved.value;
    if (name === "askPolicy") return policyOf(project.settings);
    if (!isLimit(name)) return project[name] ?? "";
    const limit = project.settings[name];
    return typeof limit === "number" ? String(limit) : "";
  }

  /** Saves `text` after what is being saved already; says whether it is saved now. */
  save(name: SettingName, text: string): Promise<boolean> {
    const saving = this.#last.then(() => this.#save(name, text));
    this.#last = saving;
    return saving;
  }

  async #save(name: SettingName, text: string): Promise<boolean> {
    if (this.textOf(name) === text) {
      this.#note(name, undefined);
      return true;
    }
    const body = this.#patch(name, text);
    if (typeof body === "string") {
      this.#note(name, { state: "failed", message: body });
      return false;
    }
    this.#note(name, { state: "saving" });
    try {
      const path = `/api/projects/${this.saved.peek().id}`;
      this.saved.value = await call(path, { method: "PATCH", body, answer: projectSchema });
      this.#note(name, { state: "saved" });
      return true;
    } catch (error) {
      const { field, message } = failureAt(error, [name, `settings.${name}`]);
      this.#note(name, { state: "failed", message: field ? message : sentenceOf(error) });
      return false;
    }
  }

  /** The body that sets one setting, or what is wrong with its text. */
  #patch(name: SettingName, text: string): PatchProject | string {
    if (name === "defaultVmSize") return { defaultVmSize: (text || null) as PatchProject["defaultVmSize"] };
    if (name === "askPolicy") return { settings: withPolicy(this.saved.peek().settings, text) };
    if (!isLimit(name)) {
      return text ? { [name]: text } as PatchProject : "This must not be empty.";
    }
    const { [name]: _, ...settings } = this.saved.peek().settings;
    if (!text) return { settings };
    const limit = Number(text);
    return limit > 0 && Number.isFinite(limit)
      ? { settings: { ...settings, [name]: limit } }
      : "A number above 0, or nothing for no limit.";
  }

  #note(name: SettingName, note: Note | undefined): void {
    this.notes.value = { ...this.notes.peek(), [name]: note };
  }
}

function isLimit(name: SettingName): name is LimitName {
  return LIMITS.some((limit) => limit === name);
}

/** What is asked beside commands: "" nothing inside the checkout, `edits`, or `all` of it. */
function policyOf(settings: Project["settings"]): string {
  if (settings.askBeforeReads === true) return "all";
  return settings.askBeforeEdits === true ? "edits" : "";
}

function withPolicy(
  { askBeforeReads: _reads, askBeforeEdits: _edits, ...settings }: Project["settings"],
  text: string,
): Project["settings"] {
  if (text === "all") return { ...settings, askBeforeReads: true, askBeforeEdits: true };
  return text === "edits" ? { ...settings, askBeforeEdits: true } : settings;
}

export interface SettingProps {
  settings: Settings;
  name: SettingName;
  label: string;
  hint?: string;
  /** Why this person may not change it. */
  locked?: string | null;
}

export function TextSetting({ settings, name, label, hint, locked = null, numeric = false }: SettingProps & {
  numeric?: boolean;
}) {
  const text = useSignal(settings.textOf(name));
  const save = async () => {
    const said = text.value;
    const saved = await settings.save(name, said.trim());
    if (saved && text.value === said) text.value = settings.textOf(name);
  };
  return (
    <Setting settings={settings} name={name} label={label} hint={locked ?? hint}>
      {(props) => (
        <input
          {...props}
          inputMode={numeric ? "decimal" : undefined}
          placeholder={numeric ? "No limit" : undefined}
          autoComplete="off"
          disabled={locked !== null}
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
          onChange={() => void save()}
        />
      )}
    </Setting>
  );
}

export function ChoiceSetting({ settings, name, label, hint, locked = null, choices }: SettingProps & {
  choices: { value: string; label: string }[];
}) {
  const choice = useSignal(settings.textOf(name));
  const save = async (value: string) => {
    choice.value = value;
    if (!await settings.save(name, value)) choice.value = settings.textOf(name);
  };
  return (
    <Setting settings={settings} name={name} label={label} hint={locked ?? hint}>
      {(props) => (
        <select
          {...props}
          disabled={locked !== null}
          value={choice.value}
          onChange={(event) => void save(event.currentTarget.value)}
        >
          {/* Said of the option too: what the server has rendered shows the choice before a script runs. */}
          {choices.map(({ value, label }) => (
            <option key={value} value={value} selected={value === choice.value}>{label}</option>
          ))}
        </select>
      )}
    </Setting>
  );
}

interface FrameProps extends Pick<SettingProps, "settings" | "name" | "label" | "hint"> {
  children: (props: ReturnType<typeof fieldProps>) => preact.JSX.Element;
}

/** A control with its label, its hint, what came of saving it, and why it was refused. */
function Setting({ settings, name, label, hint, children }: FrameProps) {
  const id = `setting-${name}`;
  const note = settings.notes.value[name];
  const error = note?.state === "failed" ? note.message : null;
  const said = note?.state === "saving" ? "Saving…" : note?.state === "saved" ? "Saved" : "";
  return (
    <Field id={id} label={label} error={error} said={said} {...(hint ? { hint } : {})}>
      {children(fieldProps({ id, error, ...(hint ? { hint } : {}) }))}
    </Field>
  );
}
