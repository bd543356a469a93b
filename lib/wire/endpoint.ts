/** What is said of one endpoint: method, path, who calls, and the schemas of query, body and answer. */
import type { z } from "zod";
import { none } from "./common.ts";

export const JSON_ONLY: readonly string[] = ["application/json"];

/** `workspace`: the token of the workspace named in the path; `taskWorkspace`: of the workspace that runs the task. */
export type Caller = "public" | "user" | "node" | "workspace" | "taskWorkspace";

export interface Endpoint<
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
  A extends z.ZodType = z.ZodType,
> {
  method: "GET" | "POST" | "PATCH" | "DELETE" | "PUT";
  path: string;
  caller: Caller;
  summary: string;
  query: Q;
  body: B;
  answer: A;
  status: 200 | 201 | 202 | 204;
  /** In which of these forms it is answered. */
  types: readonly string[];
  /** Takes `Idempotency-Key`. */
  idempotent: boolean;
  /** Never stored by anybody: the answer holds secrets. */
  secret: boolean;
}

type Options<Q extends z.ZodType, B extends z.ZodType, A extends z.ZodType> =
  & { summary: string }
  & Partial<Pick<Endpoint<Q, B, A>, "query" | "body" | "answer" | "status" | "types" | "idempotent" | "secret">>;

/** Describes one call; what is left out is empty, answered with 200 and JSON, not repeatable and not secret. */
export function endpoint<
  Q extends z.ZodType = typeof none,
  B extends z.ZodType = typeof none,
  A extends z.ZodType = typeof none,
>(caller: Caller, call: `${Endpoint["method"]} /${string}`, options: Options<Q, B, A>): Endpoint<Q, B, A> {
  const [method, path] = call.split(" ") as [Endpoint["method"], string];
  return {
    method,
    path,
    caller,
    query: none as unknown as Q,
    body: none as unknown as B,
    answer: none as unknown as A,
    status: 200,
    types: JSON_ONLY,
    idempotent: false,
    secret: false,
    ...options,
  };
}
