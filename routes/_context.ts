/** What the routes of one edge share, and what a request carries on its way through them. */
import type { Hono } from "hono";
import type { Buckets } from "../lib/auth/limits.ts";
import type { UserCaller } from "../lib/auth/callers.ts";
import type { Edge } from "../lib/edge.ts";

export interface AppEnv {
  Bindings: { remoteAddr?: Deno.Addr };
  Variables: {
    edge: Edge;
    buckets: Buckets;
    requestId: string;
    /** The nonce of this answer's Content-Security-Policy. */
    nonce: string;
    /** Set by the pages' middleware. */
    caller: UserCaller | null;
    address: string;
  };
}

export type App = Hono<AppEnv>;
