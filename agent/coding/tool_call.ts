/**
 * A tool call while it grows, and the message that it becomes: output as the content, and metadata of at most 16 KiB
 * with the input (4 KB) and a unified diff of the files it changed. What is cut is counted.
 */
import { createTwoFilesPatch, FILE_HEADERS_ONLY } from "diff";
import { byteLength, cutText } from "../../lib/bytes.ts";
import { TOOL_INPUT_MAX_BYTES, TOOL_METADATA_MAX_BYTES } from "../../lib/wire/limits.ts";
import type { ToolMetadata } from "../../lib/wire/message.ts";
import { cutToJsonBytes, jsonBytes } from "../store/fit.ts";
import type { ToolCallFields } from "./updates.ts";

/** Comparing two large, unlike files can take minutes; the turn must not wait for it. */
const DIFF_MAX_BYTES = 1024 * 1024;
const DIFF_TIMEOUT_MS = 500;
/** Room in the metadata for what JSON adds around a diff. */
const DIFF_ROOM = 64;
const INPUT_TEXT_MAX = 1_000;
/** Of what a command says bit by bit; no message holds as much. */
const TERMINAL_TEXT_MAX = 512 * 1024;
/** A command's output that is nothing but a block of code: it is shown as it is, so the fence would only stand there. */
const FENCED = /^```(?:console|sh|shell|text)?\n((?:(?!\n```)[\s\S])*)\n?```\s*$/;

export interface ToolCall {
  messageId: string;
  toolCallId: string;
  title: string | null;
  name: string | null;
  kind: string | null;
  status: "pending" | "in_progress" | "completed" | "failed";
  content: NonNullable<ToolCallFields["content"]>;
  path: string | null;
  /** Every place that it names. */
  locations: { path: string }[];
  rawInput: unknown;
  rawOutput: unknown;
  /** What a command has said bit by bit. */
  terminalText: string;
  permission: { outcome: string; by: string } | null;
  /** Why it was not permitted, in a sentence that stands before the output. */
  refusal: string | null;
  startedAtMs: number;
}

export interface ToolMessage {
  content: string;
  toolMetadata: ToolMetadata;
  truncatedBytes: number;
}

/** A call of which nothing is known but its id. */
export function newToolCall(toolCallId: string, options: { messageId: string; now: number }): ToolCall {
  return {
    messageId: options.messageId,
    toolCallId,
    title: null,
    name: null,
    kind: null,
    status: "pending",
    content: [],
    path: null,
    locations: [],
    rawInput: undefined,
    rawOutput: undefined,
    terminalText: "",
    permission: null,
    refusal: null,
    startedAtMs: options.now,
  };
}

/** The call with the fields that came; absent ones stay as they were. */
export function mergeToolCall(call: ToolCall, fields: ToolCallFields): ToolCall {
  return {
    ...call,
    title: fields.title ?? call.title,
    name: fields.name ?? fields._meta?.claudeCode?.toolName ?? call.name,
    kind: fields.kind ?? call.kind,
    status: fields.status ?? call.status,
    content: fields.content ? withDiffs(fields.content, call.content) : call.content,
    path: fields.locations?.[0]?.path ?? call.path,
    locations: fields.locations ?? call.locations,
    rawInput: fields.rawInput ?? call.rawInput,
    rawOutput: fields.rawOutput ?? call.rawOutput,
    terminalText: cutText(call.terminalText + (fields._meta?.terminal_output_delta?.data ?? ""), TERMINAL_TEXT_MAX),
  };
}

/** Some show what they will change only while they ask, and put a sentence in its place when it is done. */
function withDiffs(content: ToolCall["content"], before: ToolCall["content"]): ToolCall["content"] {
  if (content.some((item) => item.type === "diff")) return content;
  return [...before.filter((item) => item.type === "diff"), ...content];
}

export function isFinished(call: ToolCall): boolean {
  return call.status === "completed" || call.status === "failed";
}

/**
 * The call as a message. `cwd`: paths below it are shown relative to it. What it changes is shown once it is finished,
 * or before with `withDiff`.
 */
export function toToolMessage(
  call: ToolCall,
  options: { now: number; cwd: string; withDiff?: boolean },
): ToolMessage {
  const fallback = call.title ?? call.name ?? call.kind ?? "Tool call";
  const metadata: ToolMetadata = {
    tool: cutText(call.name ?? call.kind ?? "tool", 200),
    target: cutText(findTarget(call, options.cwd) ?? fallback, 1_000),
    status: isFinished(call) ? (call.status === "failed" ? "failed" : "completed") : "executing",
    toolCallId: cutText(call.toolCallId, 200),
    durationMs: Math.max(0, Math.round(options.now - call.startedAtMs)),
  };
  if (call.rawInput !== undefined && call.rawInput !== null) metadata.input = cutInput(call.rawInput);
  if (call.permission) metadata.permission = call.permission;
  const truncatedBytes = addDiff(metadata, options.withDiff || isFinished(call) ? makeDiff(call, options.cwd) : "");
  return { content: contentOf(call) || fallback, toolMetadata: metadata, truncatedBytes };
}

/** A command may name the files that it will touch: what is run says more. */
function findTarget(call: ToolCall, cwd: string): string | null {
  const command = fieldOf(call.rawInput, "command");
  const isRun = typeof command === "string" && command !== "";
  if (isRun && (call.kind === "execute" || call.path === null)) return command;
  return call.path === null ? null : shorten(call.path, cwd);
}

function shorten(path: string, cwd: string): string {
  return path.startsWith(`${cwd}/`) ? path.slice(cwd.length + 1) : path;
}

function contentOf(call: ToolCall): string {
  return [call.refusal ?? "", outputOf(call)].filter((part) => part !== "").join("\n");
}

function outputOf(call: ToolCall): string {
  const text = call.content.flatMap((item) => item.type === "content" ? [item.content] : []).join("\n");
  if (text.trim() !== "") return FENCED.exec(text)?.[1] ?? text;
  const raw = typeof call.rawOutput === "string" ? call.rawOutput : fieldOf(call.rawOutput, "output");
  return typeof raw === "string" && raw.trim() !== "" ? raw : call.terminalText.trim();
}

function fieldOf(value: unknown, name: string): unknown {
  return value && typeof value === "object" ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}

/** At most 4 KB of JSON: long texts are cut first; what is still too large becomes one cut text. */
function cutInput(input: unknown): unknown {
  const json = JSON.stringify(input) ?? "null";
  if (byteLength(json) <= TOOL_INPUT_MAX_BYTES) return input;
  const shorter = JSON.stringify(
    input,
    (_, value) =>
      typeof value === "string" && value.length > INPUT_TEXT_MAX ? cutText(value, INPUT_TEXT_MAX) + "…" : value,
  );
  if (byteLength(shorter) <= TOOL_INPUT_MAX_BYTES) return JSON.parse(shorter);
  return cutToJsonBytes(json, TOOL_INPUT_MAX_BYTES);
}

function makeDiff(call: ToolCall, cwd: string): string {
  const patches: string[] = [];
  for (const item of call.content) {
    if (item.type !== "diff") continue;
    const path = shorten(item.path, cwd);
    const before = item.oldText ?? "";
    const patch = before.length + item.newText.length > DIFF_MAX_BYTES ? undefined : createTwoFilesPatch(
      item.oldText === null || item.oldText === undefined ? "/dev/null" : path,
      path,
      before,
      item.newText,
      undefined,
      undefined,
      { context: 3, timeout: DIFF_TIMEOUT_MS, headerOptions: FILE_HEADERS_ONLY },
    );
    patches.push(patch ?? `--- ${path}\n+++ ${path}\n(too large to compare)\n`);
  }
  return patches.join("");
}

/** Puts as much of the diff into the metadata as fits. Answers how many bytes were left out. */
function addDiff(metadata: ToolMetadata, diff: string): number {
  if (diff === "") return 0;
  const room = TOOL_METADATA_MAX_BYTES - jsonBytes(metadata) - DIFF_ROOM;
  metadata.diff = cutToJsonBytes(diff, Math.max(0, room));
  return byteLength(diff) - byteLength(metadata.diff);
}
