/** A labelled control with its hint and its error, tied together for those who do not see them side by side. */
import type { ComponentChildren } from "preact";

export interface FieldProps {
  id: string;
  label: string;
  hint?: string;
  error?: string | null | undefined;
  /** What came of the last change, said beside the label. */
  said?: string;
  children: ComponentChildren;
}

export function Field({ id, label, hint, error, said, children }: FieldProps) {
  return (
    <div class="labelled">
      {said === undefined ? <label for={id}>{label}</label> : (
        <div class="label-row">
          <label for={id}>{label}</label>
          <span class="saved" role="status">{said}</span>
        </div>
      )}
      {children}
      {hint ? <p class="field-hint" id={`${id}-hint`}>{hint}</p> : null}
      {error ? <p class="field-error" id={`${id}-error`} role="alert">{error}</p> : null}
    </div>
  );
}

/** What ties a control to its hint and error; spread it over the control. */
export function fieldProps({ id, hint, error }: Pick<FieldProps, "id" | "hint" | "error">) {
  const described = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return {
    id,
    class: "field",
    "aria-invalid": error ? ("true" as const) : undefined,
    "aria-describedby": described || undefined,
  };
}
