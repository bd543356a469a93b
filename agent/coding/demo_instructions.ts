/**
 * How the demo coding agent carries out each instruction: text in small deltas under one message id, tools with their
 * place, input, output and diff, a real shell in the workspace that ends when the turn is cancelled.
 */
import {
  type AgentContext,
  methods,
  RequestError,
  type SessionUpdate,
  type ToolCallUpdate,
} from "@agentclientprotocol/sdk/unstable";
import { isAbsolute, normalize } from "node:path";
import { wait } from "../../lib/backoff.ts";
import { newId } from "../../lib/ids.ts";
import type { Instruction } from "./demo_language.ts";
import { runShell } from "./demo_shell.ts";

/** Small deltas with a short pause, as a model streams. */
const DELTA_CHARS = 6;
const DELTA_PAUSE_MS = 4;

export interface DemoTurn {
  client: AgentContext;
  sessionId: string;
  cwd: string;
  /** Names of the tool servers that came with the session. */
  toolServers: string[];
  signal: AbortSignal;
  /** What was said in this turn, for the memory. */
  said: string[];
  /** Says that the conversation has cost so much more. */
  spend: (usd: number) => Promise<void>;
}

/** Carries out one instruction. Throws a RequestError for `fail`, which ends the prompt with an error. */
export async function runInstruction(turn: DemoTurn, instruction: Instruction): Promise<void> {
  switch (instruction.kind) {
    case "say":
      return await speak(turn, instruction.text);
    case "think":
      return await streamText(turn, {
        kind: "agent_thought_chunk",
        deltas: cut(instruction.text),
        pauseMs: DELTA_PAUSE_MS,
      });
    case "plan":
      return await plan(turn, instruction.entries);
    case "write":
      return await writeFile(turn, instruction);
    case "askWrite":
      return await askAndWrite(turn, instruction);
    case "run":
      return await runCommand(turn, instruction.text, newId());
    case "ask":
      return await askAndRun(turn, instruction.text);
    case "stream":
      return await stream(turn, instruction);
    case "spend":
      return await turn.spend(instruction.usd);
    case "wait":
      return await wait(instruction.ms, turn.signal);
    case "extensions":
      return await speak(turn, await describeExtensions(turn));
    case "fail":
      throw RequestError.internalError({ details: instruction.text });
    case "crash":
      Deno.kill(Deno.pid, "SIGKILL");
      await new Promise<never>(() => {});
  }
}

async function speak(turn: DemoTurn, text: string): Promise<void> {
  turn.said.push(text);
  await streamText(turn, { kind: "agent_message_chunk", deltas: cut(text), pauseMs: DELTA_PAUSE_MS });
}

async function stream(turn: DemoTurn, { count, pauseMs }: { count: number; pauseMs: number }): Promise<void> {
  const deltas = Array.from({ length: count }, (_, i) => `word${i + 1} `);
  turn.said.push(`(${count} words)`);
  await streamText(turn, { kind: "agent_message_chunk", deltas, pauseMs });
}

/** What it was given, and what it finds where coding agents look. */
async function describeExtensions({ cwd, toolServers }: DemoTurn): Promise<string> {
  const list = (names: string[]) => names.length > 0 ? names.toSorted().join(", ") : "none";
  const skills = await namesIn(`${cwd}/.claude/skills`, "/SKILL.md");
  const commands = (await namesIn(`${cwd}/.claude/commands`, "")).map((name) => name.replace(/\.md$/, ""));
  return `Tool servers: ${list(toolServers)}. Skills: ${list(skills)}. Commands: ${list(commands)}.`;
}

async function namesIn(folder: string, file: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  const found = await Promise.all(entries.map(({ name }) => Deno.stat(`${folder}/${name}${file}`).catch(() => null)));
  return entries.filter((_, i) => found[i]?.isFile).map(({ name }) => name);
}

interface Streamed {
  kind: "agent_message_chunk" | "agent_thought_chunk";
  deltas: string[];
  pauseMs: number;
}

async function streamText(turn: DemoTurn, { kind, deltas, pauseMs }: Streamed): Promise<void> {
  const messageId = newId();
  for (const [i, text] of deltas.entries()) {
    if (turn.signal.aborted) return;
    await update(turn, { sessionUpdate: kind, messageId, content: { type: "text", text } });
    // Without a pause the event loop still gets its turn, so that a cancellation is read.
    if (pauseMs > 0 || i % 50 === 49) await wait(pauseMs, turn.signal);
  }
}

function cut(text: string): string[] {
  // By code points, so that no delta ends inside a character.
  const points = [...text];
  const deltas: string[] = [];
  for (let at = 0; at < points.length; at += DELTA_CHARS) deltas.push(points.slice(at, at + DELTA_CHARS).join(""));
  return deltas;
}

async function plan(turn: DemoTurn, contents: string[]): Promise<void> {
  const entries = contents.map((content) => ({ content, priority: "medium" as const, status: "pending" as const }));
  await update(turn, { sessionUpdate: "plan", entries });
}

interface Write {
  path: string;
  text: string;
}

async function writeFile(turn: DemoTurn, { path, text }: Write, toolCallId = newId()): Promise<void> {
  const full = `${turn.cwd}/${path}`;
  const newText = `${text}\n`;
  await announceWrite(turn, { path, text, toolCallId, status: "in_progress" });
  try {
    if (!isInside(path)) throw new Error("The path leads out of the workspace.");
    const oldText = await Deno.readTextFile(full).catch(() => null);
    await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
    await Deno.writeTextFile(full, newText);
    const content = [{ type: "diff" as const, path: full, oldText, newText }];
    await update(turn, { sessionUpdate: "tool_call_update", toolCallId, status: "completed", content });
  } catch (error) {
    await finishTool(turn, toolCallId, {
      status: "failed",
      output: error instanceof Error ? error.message : String(error),
    });
  }
}

async function announceWrite(
  turn: DemoTurn,
  call: Write & { toolCallId: string; status: "pending" | "in_progress" },
): Promise<void> {
  const { path, text, toolCallId, status } = call;
  await update(turn, {
    sessionUpdate: "tool_call",
    toolCallId,
    title: `Write ${path}`,
    kind: "edit",
    status,
    locations: [{ path: `${turn.cwd}/${path}` }],
    rawInput: { path, text },
  });
}

async function askAndWrite(turn: DemoTurn, write: Write): Promise<void> {
  const toolCallId = newId();
  await announceWrite(turn, { ...write, toolCallId, status: "pending" });
  const full = `${turn.cwd}/${write.path}`;
  const content = [{ type: "diff" as const, path: full, oldText: null, newText: `${write.text}\n` }];
  const call = { toolCallId, title: `Write ${write.path}`, kind: "edit" as const, content };
  if (await isPermitted(turn, call)) return await writeFile(turn, write, toolCallId);
  await finishTool(turn, toolCallId, { status: "failed", output: "The change was not permitted." });
}

function isInside(path: string): boolean {
  const plain = normalize(path);
  return !isAbsolute(plain) && plain !== "." && plain !== ".." && !plain.startsWith("../") && plain !== ".git" &&
    !plain.startsWith(".git/");
}

async function runCommand(turn: DemoTurn, command: string, toolCallId: string): Promise<void> {
  await announce(turn, { command, toolCallId, status: "in_progress" });
  const result = await runShell(command, {
    cwd: turn.cwd,
    signal: turn.signal,
    onOutput: (output) =>
      update(turn, { sessionUpdate: "tool_call_update", toolCallId, content: [textContent(output)] }),
  });
  const status = result.exitCode === 0 && !turn.signal.aborted ? "completed" : "failed";
  await finishTool(turn, toolCallId, { status, output: result.output, exitCode: result.exitCode });
}

async function askAndRun(turn: DemoTurn, command: string): Promise<void> {
  const toolCallId = newId();
  await announce(turn, { command, toolCallId, status: "pending" });
  const call = { toolCallId, title: command, kind: "execute" as const, rawInput: { command } };
  if (await isPermitted(turn, call)) return await runCommand(turn, command, toolCallId);
  await finishTool(turn, toolCallId, { status: "failed", output: "The command was not permitted." });
}

async function isPermitted(turn: DemoTurn, toolCall: ToolCallUpdate): Promise<boolean> {
  const { outcome } = await turn.client.request(methods.client.session.requestPermission, {
    sessionId: turn.sessionId,
    toolCall,
    options: [
      { optionId: "yes", name: "Allow once", kind: "allow_once" },
      { optionId: "always", name: "Always allow", kind: "allow_always" },
      { optionId: "no", name: "Reject", kind: "reject_once" },
    ],
  });
  return outcome.outcome === "selected" && (outcome.optionId === "yes" || outcome.optionId === "always");
}

async function announce(
  turn: DemoTurn,
  call: { command: string; toolCallId: string; status: "pending" | "in_progress" },
): Promise<void> {
  await update(turn, {
    sessionUpdate: "tool_call",
    toolCallId: call.toolCallId,
    title: call.command,
    kind: "execute",
    status: call.status,
    rawInput: { command: call.command },
  });
}

interface Finished {
  status: "completed" | "failed";
  output: string;
  exitCode?: number;
}

async function finishTool(turn: DemoTurn, toolCallId: string, finished: Finished): Promise<void> {
  const { status, output, exitCode } = finished;
  await update(turn, {
    sessionUpdate: "tool_call_update",
    toolCallId,
    status,
    content: output === "" ? [] : [textContent(output)],
    rawOutput: exitCode === undefined ? { output } : { output, exitCode },
  });
}

function textContent(text: string) {
  return { type: "content" as const, content: { type: "text" as const, text } };
}

async function update(turn: DemoTurn, sent: SessionUpdate): Promise<void> {
  await turn.client.notify(methods.client.session.update, { sessionId: turn.sessionId, update: sent });
}
