/** Sign-in, API keys, and what the page needs to know about the person and the platform. */
import { z } from "zod";
import { count, text, timestamp, uuid, vmSize } from "./common.ts";
import { NAME_MAX } from "./limits.ts";

export const loginBody = z.strictObject({ apiKey: z.string().trim().min(1, "must not be empty").max(200) });

export const user = z.object({
  id: uuid,
  login: z.string(),
  displayName: z.string(),
  role: z.enum(["admin", "member"]),
});
export type User = z.infer<typeof user>;

export const me = z.object({ user });

export const apiKey = z.object({
  id: uuid,
  name: z.string(),
  prefix: z.string(),
  createdAt: timestamp,
  lastUsedAt: timestamp.nullable(),
});
export type ApiKey = z.infer<typeof apiKey>;
export const createApiKey = z.strictObject({ name: text(NAME_MAX) });
/** The only answer that ever holds the key itself. */
export const createdApiKey = apiKey.extend({ key: z.string() });

export const codingAgentOption = z.object({
  id: z.string(),
  label: z.string(),
  credential: z.string().optional(),
});

export const options = z.object({
  codingAgents: z.array(codingAgentOption),
  defaultCodingAgent: z.string(),
  vmSizes: z.array(vmSize),
  locations: z.array(z.string()),
  provider: z.enum(["local", "hetzner", "manual"]),
  limits: z.record(z.string(), z.number()),
});
export type Options = z.infer<typeof options>;

/** How many of each were stopped. */
export const stopped = z.object({ tasks: count, workspaces: count, nodes: count });
