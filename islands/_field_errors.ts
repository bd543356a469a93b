/** Which field of a form a refusal speaks of, so that it can be shown there. */
import { ApiError, sentenceOf } from "./_api.ts";

export interface FormFailure {
  field: string | null;
  message: string;
}

/** `fields` are the form's names; a refusal that names none of them belongs to the form as a whole. */
export function failureAt(error: unknown, fields: readonly string[]): FormFailure {
  const message = sentenceOf(error);
  if (!(error instanceof ApiError)) return { field: null, message };
  if (error.code === "name_taken" && fields.includes("name")) return { field: "name", message };
  const named = error.details.field ?? error.details.path;
  if (typeof named === "string" && fields.includes(named)) return { field: named, message };
  if (error.code !== "invalid_request") return { field: null, message };
  return { field: fields.find((field) => message.includes(field)) ?? null, message };
}
