/**
 * The project page's state as signals, and what keeps it true: the live socket's frames and the pages read from the
 * store go through one reducer; a hole in a transcript and lists that are too old are read anew until they fit.
 * Made per island, never shared: on the server it only holds what one request shows.
 */
import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { backoffMs, wait } from "../lib/backoff.ts";
import { type Action, byId, type ProjectState, reduce } from "../lib/ui/project_state.ts";
import { EMPTY, missingAfter, type Transcript } from "../lib/ui/transcript.ts";
import { currentSession, isLive, sessionsByActivity } from "../lib/ui/views.ts";
import { pageOf } from "../lib/wire/common.ts";
import { PAGE_LIMIT_MAX } from "../lib/wire/limits.ts";
import { type MessagePage, messagePage } from "../lib/wire/message.ts";
import { node } from "../lib/wire/node.ts";
import { prompt, type Session, session } from "../lib/wire/session.ts";
import { type Task, task } from "../lib/wire/task.ts";
import { call, sentenceOf } from "./_api.ts";
import { type Connection, LiveSocket } from "./_live.ts";

const MESSAGES_PER_PAGE = 100;
const SESSIONS_PER_PAGE = 100;
/** Frames of one commit come within this; a hole that is still there then is a real one. */
const HOLE_PATIENCE_MS = 300;
/** How a machine is comes by the feed; what only its heartbeats tell, such as dead letters, is asked for now and then. */
const NODE_REFRESH_MS = 300_000;
const RETRY = { initialMs: 1_000, maxMs: 30_000 };

export interface ProjectData {
  projectId: string;
  /** Who reads the page. */
  userId: string;
  sessions: Session[];
  /** Where older sessions go on, null when all are here. */
  sessionsNextCursor: string | null;
  tasks: Task[];
  selected: { session: Session; page: MessagePage } | null;
  cursor: string;
  /** Path of the live socket. */
  connectionUrl: string;
}

/** The first state, from what the page was rendered with. */
export function initialState(data: ProjectData): ProjectState {
  const { selected } = data;
  const state: ProjectState = {
    cursor: data.cursor,
    stale: false,
    selectedId: selected?.session.id ?? null,
    sessions: byId(selected ? [...data.sessions, selected.session] : data.sessions),
    tasks: byId(data.tasks),
    workspaces: {},
    nodes: {},
    prompts: {},
    permissions: {},
    transcripts: {},
  };
  if (!selected) return state;
  return reduce(state, { type: "page", sessionId: selected.session.id, page: selected.page, kind: "newest" });
}

export class ProjectStore {
  readonly projectId: string;
  readonly userId: string;
  readonly state;
  readonly connection = signal<Connection>("connecting");
  /** Why a session's messages could not be read, by session. */
  readonly loadErrors = signal<Readonly<Record<string, string>>>({});
  readonly loadingOlder = signal(false);
  readonly moreSessions;
  readonly sessions: ReadonlySignal<Session[]>;
  readonly selected: ReadonlySignal<Session | null>;
  readonly transcript: ReadonlySignal<Transcript>;
  readonly #base: string;
  readonly #connectionUrl: string;
  readonly #end = new AbortController();

  constructor(data: ProjectData) {
    this.projectId = data.projectId;
    this.userId = data.userId;
    this.#base = `/api/projects/${data.projectId}`;
    this.#connectionUrl = data.connectionUrl;
    this.state = signal(initialState(data));
    this.moreSessions = signal({ cursor: data.sessionsNextCursor, busy: false });
    this.sessions = computed(() =>
      sessionsByActivity(this.state.value.sessions).map((each) => currentSession(this.state.value, each))
    );
    this.selected = computed(() => this.sessions.value.find((each) => each.id === this.state.value.selectedId) ?? null);
    this.transcript = computed(() => this.state.value.transcripts[this.state.value.selectedId ?? ""] ?? EMPTY);
  }

  dispatch(action: Action): void {
    this.state.value = reduce(this.state.peek(), action);
  }

  /** Shows a session. What is known of it is there at once; its newest page is read in any case. */
  select(sessionId: string | null): void {
    if (sessionId === this.state.peek().selectedId) return;
    this.dispatch({ type: "select", sessionId });
    if (!sessionId) return;
    void this.loadMessages(sessionId);
    if (!this.state.peek().sessions[sessionId]) void this.loadSession(sessionId);
  }

  async loadMessages(sessionId: string): Promise<void> {
    this.#setLoadError(sessionId, null);
    try {
      const page = await this.#readPage(sessionId, "");
      this.dispatch({ type: "page", sessionId, page, kind: "newest" });
    } catch (error) {
      this.#setLoadError(sessionId, sentenceOf(error));
    }
  }

  async loadOlder(): Promise<void> {
    const sessionId = this.state.peek().selectedId;
    const { messages, hasOlder } = this.transcript.peek();
    if (!sessionId || !messages[0] || !hasOlder || this.loadingOlder.peek()) return;
    this.loadingOlder.value = true;
    try {
      const page = await this.#readPage(sessionId, `&before=${messages[0].seq}`);
      this.dispatch({ type: "page", sessionId, page, kind: "older" });
    } catch (error) {
      this.#setLoadError(sessionId, sentenceOf(error));
    } finally {
      this.loadingOlder.value = false;
    }
  }

  async loadMoreSessions(): Promise<void> {
    const { cursor, busy } = this.moreSessions.peek();
    if (!cursor || busy) return;
    this.moreSessions.value = { cursor, busy: true };
    const page = await this.#readSessions(cursor).catch(() => null);
    if (page) this.dispatch({ type: "sessions", sessions: page.items });
    this.moreSessions.value = { cursor: page ? page.nextCursor : cursor, busy: false };
  }

  /** Opens the live socket and the watches. Browser only; ends with the store. */
  start(): void {
    const { signal } = this.#end;
    const live = new LiveSocket({
      path: this.#connectionUrl,
      cursor: () => this.state.peek().cursor,
      subscription: () => this.state.peek().selectedId,
      onFrame: (frame) => this.dispatch({ type: "frame", frame }),
      onBroken: () => this.dispatch({ type: "stale" }),
      onRefused: (why) => location.assign(why === "signed_out" ? "/signin" : "/projects"),
    });
    const selectedId = computed(() => this.state.value.selectedId);
    const liveId = computed(() => this.selected.value?.status === "active" ? this.selected.value.id : null);
    const liveNode = computed(() => {
      const task = this.state.value.tasks[this.selected.value?.taskId ?? ""];
      return task && isLive(task) ? task.nodeId : null;
    });
    const stops = [
      () => live[Symbol.dispose](),
      effect(() => void (this.connection.value = live.status.value)),
      effect(() => void (selectedId.value && live.subscribe())),
      effect(() => void (liveId.value && this.#loadPrompts(liveId.value))),
      effect(() => this.#watchNode(liveNode.value)),
      keepTrying(signal, { wanted: () => this.state.value.stale, attempt: () => this.#refresh() }),
      this.#fillHoles(signal),
    ];
    signal.addEventListener("abort", () => stops.forEach((stop) => stop()), { once: true });
  }

  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #fillHoles(end: AbortSignal): () => void {
    /** Session and seq after which messages are missing; text, so that the same hole is the same value. */
    const hole = computed(() => {
      const session = this.selected.value;
      const after = session ? missingAfter(this.transcript.value, session.lastSeq) : null;
      return session && after !== null ? `${session.id}:${after}` : null;
    });
    const attempt = async () => {
      const [sessionId, after] = (hole.peek() ?? "").split(":");
      if (!sessionId || !after) return;
      const page = await this.#readPage(sessionId, `&after=${after}`);
      this.dispatch({ type: "page", sessionId, page, kind: "after" });
      if (page.items.length > 0) return;
      await this.loadSession(sessionId);
      throw new Error("The store has no message after the last one here, yet the session says so.");
    };
    return keepTrying(end, { wanted: () => hole.value !== null, patienceMs: HOLE_PATIENCE_MS, attempt });
  }

  async #refresh(): Promise<void> {
    const [page, tasks] = await Promise.all([
      this.#readSessions(null),
      call(`${this.#base}/tasks?sort=updatedAtDesc&limit=${PAGE_LIMIT_MAX}`, { answer: pageOf(task) }),
    ]);
    const moreSessions = page.nextCursor !== null;
    this.dispatch({ type: "refreshed", sessions: page.items, moreSessions, tasks: tasks.items });
    const { selectedId } = this.state.peek();
    if (selectedId) await this.loadMessages(selectedId);
  }

  async loadSession(sessionId: string): Promise<void> {
    try {
      this.dispatch({
        type: "session",
        session: await call(`${this.#base}/sessions/${sessionId}`, { answer: session }),
      });
    } catch (error) {
      this.#setLoadError(sessionId, sentenceOf(error));
    }
  }

  async #loadPrompts(sessionId: string): Promise<void> {
    const path = `${this.#base}/sessions/${sessionId}/prompts`;
    // The list is an extra: without it, prompts show as soon as the socket tells of them.
    const list = await call(path, { answer: pageOf(prompt) }).catch(() => null);
    if (list) this.dispatch({ type: "prompts", sessionId, prompts: list.items });
  }

  /** The machine at work: read when it is taken, then told of by the feed. */
  #watchNode(nodeId: string | null): (() => void) | undefined {
    if (!nodeId) return undefined;
    void this.#loadNode(nodeId);
    const timer = setInterval(() => void this.#loadNode(nodeId), NODE_REFRESH_MS);
    return () => clearInterval(timer);
  }

  /** Another member's machine is not shown to this person: then its name is all there is. */
  async #loadNode(nodeId: string): Promise<void> {
    const known = await call(`/api/nodes/${nodeId}`, { answer: node }).catch(() => null);
    if (known) this.dispatch({ type: "node", node: known });
  }

  #readPage(sessionId: string, query: string): Promise<MessagePage> {
    const path = `${this.#base}/sessions/${sessionId}/messages?limit=${MESSAGES_PER_PAGE}${query}`;
    return call(path, { answer: messagePage });
  }

  #readSessions(cursor: string | null) {
    const query = `limit=${SESSIONS_PER_PAGE}${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    return call(`${this.#base}/sessions?${query}`, { answer: pageOf(session) });
  }

  #setLoadError(sessionId: string, message: string | null): void {
    const { [sessionId]: _, ...others } = this.loadErrors.peek();
    this.loadErrors.value = message ? { ...others, [sessionId]: message } : others;
  }
}

interface Trying {
  wanted: () => boolean;
  attempt: () => Promise<void>;
  patienceMs?: number;
}

/** Runs `attempt` for as long as it is wanted, one at a time, with back-off after failures. */
export function keepTrying(end: AbortSignal, { wanted, attempt, patienceMs = 0 }: Trying): () => void {
  let running = false;
  const run = async () => {
    running = true;
    for (let failures = 0; !end.aborted;) {
      await wait(failures ? backoffMs(failures - 1, RETRY, Math.random()) : patienceMs, end);
      if (end.aborted || !wanted()) break;
      failures = await attempt().then(() => 0, () => failures + 1);
    }
    running = false;
  };
  return effect(() => {
    if (wanted() && !running) void run();
  });
}
