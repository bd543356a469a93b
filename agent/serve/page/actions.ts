/** What a person does on the page: each a frame or a request, and the change that shows at once. */
import { z } from "zod";
import { historyMessage, type ServerFrame } from "../../../lib/wire/chat_engine.ts";
import { ChatSocket } from "./socket.ts";
import { activeId, connection, isCreating, isElsewhere, loadingOlder, refusal, setView, take, views } from "./state.ts";
import { addPrompt, prependHistory } from "./view.ts";

const OLDER_LIMIT = 100;

let socket: ChatSocket | null = null;
let apiKey = "";

/** Connects with a key that the server knows. `onWrongKey`: it does not know it any more. */
export function start(key: string, options: { ticket: string; onWrongKey: () => void }): void {
  apiKey = key;
  socket = new ChatSocket(key, {
    onFrame: receive,
    onStatus: (status) => (connection.value = status),
    onElsewhere: () => (isElsewhere.value = true),
    onWrongKey: options.onWrongKey,
  });
  void socket.connect(options.ticket);
}

export function createSession(): void {
  refusal.value = null;
  isCreating.value = socket?.send({ type: "create_session" }) ?? false;
}

export function switchSession(sessionId: string): void {
  activeId.value = sessionId;
  refusal.value = null;
  socket?.send({ type: "switch_session", session_id: sessionId });
}

export function destroySession(sessionId: string): void {
  socket?.send({ type: "destroy_session", session_id: sessionId });
}

export function interrupt(sessionId: string): void {
  socket?.send({ type: "interrupt", session_id: sessionId });
}

/** Sends a message, or lets it wait for the end of the turn. False: it could not be sent. */
export function say(sessionId: string, text: string): boolean {
  refusal.value = null;
  if (views.value[sessionId]?.running) {
    setView(sessionId, (view) => ({ ...view, waiting: [...view.waiting, text] }));
    return true;
  }
  if (!socket?.say(sessionId, text)) return false;
  setView(sessionId, (view) => addPrompt(view, text));
  return true;
}

const messagePage = z.object({ messages: z.array(historyMessage), has_more: z.boolean() });

/** Reads the messages before the first that is shown. */
export async function loadOlder(sessionId: string): Promise<void> {
  const view = views.value[sessionId];
  const first = view?.messages[0];
  if (!view?.hasOlder || !first || loadingOlder.value) return;
  loadingOlder.value = true;
  try {
    const path = `/api/v1/sessions/${sessionId}/messages?limit=${OLDER_LIMIT}&before=${first.messageId}`;
    const answer = await fetch(path, { headers: { "x-api-key": apiKey } });
    if (!answer.ok) throw new Error(`The server answered ${answer.status}.`);
    const { messages, has_more } = messagePage.parse(await answer.json());
    setView(sessionId, (now) => prependHistory(now, { messages, hasOlder: has_more }));
  } catch {
    refusal.value = "Older messages could not be loaded. Scroll up again to retry.";
  } finally {
    loadingOlder.value = false;
  }
}

export function removeWaiting(sessionId: string, index: number): void {
  setView(sessionId, (view) => ({ ...view, waiting: view.waiting.filter((_, at) => at !== index) }));
}

export function editWaiting(sessionId: string, { index, text }: { index: number; text: string }): void {
  setView(sessionId, (view) => ({ ...view, waiting: view.waiting.map((each, at) => at === index ? text : each) }));
}

/** Gives an ended session a coding agent again. */
export async function resumeSession(sessionId: string): Promise<void> {
  switchSession(sessionId);
  const answer = await fetch(`/api/v1/sessions/${sessionId}/resume`, {
    method: "POST",
    headers: { "x-api-key": apiKey },
  }).catch(() => null);
  if (answer?.ok) setView(sessionId, (view) => ({ ...view, ended: null, failure: null }));
  else refusal.value = "The session could not be resumed. Try again, or start a new one.";
}

/** Takes the sessions over from the other window. */
export function useHere(): void {
  isElsewhere.value = false;
  void socket?.connect();
}

function receive(frame: ServerFrame): void {
  take(frame);
  if (frame.type === "session_list") openAgain(frame.sessions.map(({ session_id }) => session_id));
  if ("session_id" in frame && !views.value[frame.session_id]?.running) sendNext(frame.session_id);
}

/** After a drop the shown session is read anew; at the start it is the one that the address asks for. */
function openAgain(known: string[]): void {
  const wanted = new URLSearchParams(location.search).get("resume");
  if (wanted !== null) {
    history.replaceState(null, "", "/");
    if (known.includes(wanted)) return void resumeSession(wanted);
  }
  const shown = activeId.value ?? known[0];
  if (shown !== undefined && known.includes(shown)) switchSession(shown);
}

function sendNext(sessionId: string): void {
  const [next, ...rest] = views.value[sessionId]?.waiting ?? [];
  if (next === undefined || !socket?.say(sessionId, next)) return;
  setView(sessionId, (view) => addPrompt({ ...view, waiting: rest }, next));
}
