/** A repository plus settings; owns tasks and chat sessions. */
import { z } from "zod";
import { branchName, text, timestamp, uuid, vmSize } from "./common.ts";
import { NAME_MAX, SETTINGS_MAX_BYTES, URL_MAX } from "./limits.ts";

export const permissionMode = z.enum(["autonomous", "ask"]);
export const profileId = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, "must be the id of a coding agent");

/** In mode `ask`: what goes ahead inside the checkout without anybody being asked. */
export const permissionPolicy = z.object({ reads: z.boolean(), edits: z.boolean() });
export type PermissionPolicy = z.infer<typeof permissionPolicy>;

/** Open record: per-profile settings need no migration. */
export const settings = z.looseObject({
  maxCostUsdPerRun: z.number().positive().max(10_000).optional(),
  maxMinutesPerRun: z.number().positive().max(10_080).optional(),
  maxTurnsPerRun: z.int().positive().max(10_000).optional(),
  /** In mode `ask`: ask also before files of the checkout are read, or edited. */
  askBeforeReads: z.boolean().optional(),
  askBeforeEdits: z.boolean().optional(),
}).refine((value) => new TextEncoder().encode(JSON.stringify(value)).length <= SETTINGS_MAX_BYTES, {
  message: `must be at most ${SETTINGS_MAX_BYTES} bytes of JSON`,
});

export const project = z.object({
  id: uuid,
  ownerId: uuid,
  name: z.string(),
  repositoryUrl: z.string(),
  defaultBranch: z.string(),
  defaultVmSize: vmSize.nullable(),
  codingAgent: z.string(),
  permissionMode,
  settings: z.record(z.string(), z.unknown()),
  createdAt: timestamp,
  updatedAt: timestamp,
});
export type Project = z.infer<typeof project>;

export const createProject = z.strictObject({
  name: text(NAME_MAX),
  repositoryUrl: text(URL_MAX),
  defaultBranch: branchName.default("main"),
  defaultVmSize: vmSize.nullable().default(null),
  codingAgent: profileId.optional(),
  permissionMode: permissionMode.default("autonomous"),
  settings: settings.default({}),
});
export type CreateProject = z.infer<typeof createProject>;

export const patchProject = z.strictObject({
  name: text(NAME_MAX),
  repositoryUrl: text(URL_MAX),
  defaultBranch: branchName,
  defaultVmSize: vmSize.nullable(),
  codingAgent: profileId,
  permissionMode,
  settings,
}).partial().refine((value) => Object.keys(value).length > 0, { message: "must name at least one field to change" });
export type PatchProject = z.infer<typeof patchProject>;

export const member = z.object({
  userId: uuid,
  login: z.string(),
  displayName: z.string(),
  role: z.enum(["owner", "member"]),
  addedAt: timestamp,
});
export type Member = z.infer<typeof member>;
export const addMember = z.strictObject({ login: text(NAME_MAX) });
