/** Which field of a form a refusal speaks of, so that it can be shown there. */
import { z } from "zod";
import { ApiError, sentenceOf } from "./_api.ts";

const issues = z.array(z.object({ field: z.string(), message: z.string() }));

export interface FormFailure {
  field: string | null;
  message: string;
}

/** `fields` are the form's names; a refusal that names none of them belongs to the form as a whole. */
export function failureAt(error: unknown, fields: readonly string[]): FormFailure {
  const message = sentenceOf(error);
  if (!(error instanceof ApiError)) return { field: null, message };
  if (error.code === "name_taken" && fields.includes("name")) return { field: "name", message };
  const found = issues.safeParse(error.details.issues);
  const issue = found.success ? found.data.find((each) => fields.includes(each.field)) : undefined;
  return issue ? { field: issue.field, message: `This ${issue.message}.` } : { field: null, message };
}
