/**
 * The key space, one function a key. Index entries hold the value 1: they point, they never copy.
 * Writers, readers and lifetimes stand in docs/storage.md, which changes together with this file.
 */
type Key = Deno.KvKey;

/** The value of an index entry. */
export const POINTER = 1;

export const userKey = (u: string): Key => ["user", u];
export const userByLoginKey = (login: string): Key => ["userByLogin", login];
export const userByGithubIdKey = (id: number): Key => ["userByGithubId", id];
export const userByGithubNameKey = (name: string): Key => ["userByGithubName", name.toLowerCase()];
export const apiKeyKey = (u: string, k: string): Key => ["apiKey", u, k];
export const apiKeyByHashKey = (hash: string): Key => ["apiKeyByHash", hash];
export const apiKeyUsedKey = (k: string): Key => ["apiKeyUsed", k];
export const loginKey = (hash: string): Key => ["login", hash];
export const loginByUserKey = (u: string, hash: string): Key => ["loginByUser", u, hash];
export const signInLinkKey = (hash: string): Key => ["signInLink", hash];
export const githubStateKey = (hash: string): Key => ["githubState", hash];

export const projectKey = (p: string): Key => ["project", p];
export const projectByNameKey = (owner: string, name: string): Key => ["projectByName", owner, name.toLowerCase()];
export const projectByUserKey = (u: string, p: string): Key => ["projectByUser", u, p];
export const memberKey = (p: string, u: string): Key => ["member", p, u];
export const tallyKey = (owner: string): Key => ["tally", owner];

export const taskKey = (p: string, t: string): Key => ["task", p, t];
export const taskTextKey = (t: string): Key => ["taskText", t];
export const taskByStatusKey = (p: string, status: string, priority: number, t: string): Key => [
  "taskByStatus",
  p,
  status,
  priority,
  t,
];
export const taskByPriorityKey = (p: string, priority: number, t: string): Key => ["taskByPriority", p, priority, t];
export const taskByUpdateKey = (p: string, updatedAt: number, t: string): Key => ["taskByUpdate", p, updatedAt, t];
export const taskLiveKey = (p: string, t: string): Key => ["taskLive", p, t];
export const taskEventKey = (t: string, n: number): Key => ["taskEvent", t, n];
export const taskEdgesKey = (p: string): Key => ["taskEdges", p];
export const dependentKey = (t: string, dependent: string): Key => ["dependent", t, dependent];

export const sessionKey = (p: string, s: string): Key => ["session", p, s];
export const sessionByActivityKey = (p: string, at: number, s: string): Key => ["sessionByActivity", p, at, s];
export const msgKey = (s: string, seq: number): Key => ["msg", s, seq];
export const msgPartKey = (s: string, seq: number, i: number): Key => ["msgPart", s, seq, i];
export const msgIdKey = (s: string, messageId: string): Key => ["msgId", s, messageId];
export const promptKey = (s: string, n: number): Key => ["prompt", s, n];
export const promptByIdKey = (s: string, messageId: string): Key => ["promptById", s, messageId];
export const permissionKey = (s: string, requestId: string): Key => ["permission", s, requestId];

export const workspaceKey = (w: string): Key => ["workspace", w];
export const workspaceByProjectKey = (p: string, w: string): Key => ["workspaceByProject", p, w];
export const workspaceLiveKey = (w: string): Key => ["workspaceLive", w];

export const credentialKey = (u: string, provider: string): Key => ["credential", u, provider];

export const nodeKey = (n: string): Key => ["node", n];
export const nodeByOwnerKey = (u: string, n: string): Key => ["nodeByOwner", u, n];
export const nodeLiveKey = (n: string): Key => ["nodeLive", n];
export const nodeLinkKey = (n: string): Key => ["nodeLink", n];
export const nodeBeatKey = (n: string): Key => ["nodeBeat", n];
export const fleetKey = (u: string): Key => ["fleet", u];
export const enrolmentKey = (hash: string): Key => ["enrolment", hash];
/** A server that no record knows, by the provider's reference with the provider's name before it. */
export const strayKey = (providerRef: string): Key => ["stray", providerRef];
export const commandKey = (n: string, seq: number): Key => ["command", n, seq];
export const commandHeadKey = (n: string): Key => ["commandHead", n];
export const commandAckKey = (n: string): Key => ["commandAck", n];

export const deadLetterKey = (n: string, messageId: string): Key => ["deadLetter", n, messageId];
export const deadLetterPartKey = (n: string, messageId: string, i: number): Key => ["deadLetterPart", n, messageId, i];

export const feedPrefix = (topic: string): Key => ["feed", topic];
export const headKey = (shard: number): Key => ["head", shard];
export const dueKey = (atMs: number, kind: string, id: string): Key => ["due", atMs, kind, id];
export const idemKey = (caller: string, key: string): Key => ["idem", caller, key];
export const windowKey = (kind: string, subject: string, start: number): Key => ["window", kind, subject, start];
export const metaKey = (name: string): Key => ["meta", name];

/** Topics of the feed: what one live socket or one control link follows. */
export const projectTopic = (p: string): string => `p:${p}`;
export const userTopic = (u: string): string => `u:${u}`;
export const nodeTopic = (n: string): string => `n:${n}`;

export const HEAD_SHARDS = 10;

/** The head shard of a topic. */
export function headShard(topic: string): number {
  return fnv1a(topic) % HEAD_SHARDS;
}

/** FNV-1a over the UTF-16 units of a text: spreads, and keeps no secret. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
