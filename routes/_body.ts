/** The body of a request: bounded by the bytes received, JSON, and of the shape that the endpoint's schema says. */
import type { z } from "zod";
import { AppError } from "../lib/errors.ts";
import { explain } from "./_explain.ts";

/** No call needs more, and the store cannot keep a value of some thousand levels. */
const DEPTH_MAX = 100;

export interface ReadBody<T> {
  value: T;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Reads and parses. Throws `payload_too_large`, `unsupported_media_type`, `invalid_json`, `invalid_request`. */
export async function readBody<S extends z.ZodType>(
  request: Request,
  schema: S,
  maxBytes: number,
): Promise<ReadBody<z.output<S>>> {
  const bytes = await readBytes(request, maxBytes);
  return { value: parse(schema, readJson(request, bytes), "body"), bytes };
}

/** The fields of a form that works without a script. Throws `payload_too_large`, `unsupported_media_type`. */
export async function readForm(request: Request, maxBytes: number): Promise<URLSearchParams> {
  const bytes = await readBytes(request, maxBytes);
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers.get("content-type") ?? "")) {
    throw new AppError("unsupported_media_type", "Send the form as application/x-www-form-urlencoded.");
  }
  return new URLSearchParams(new TextDecoder().decode(bytes));
}

/** `value` by `schema`. Throws `invalid_request` that names each field and what is wrong with it. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, where: "body" | "query" | "path"): z.output<S> {
  const result = schema.safeParse(value, { error: explain });
  if (result.success) return result.data;
  const issues = result.error.issues.slice(0, 20).map((issue) => ({
    field: issue.path.join("."),
    message: issue.message,
  }));
  const first = issues[0]!;
  const name = first.field ? `"${first.field}" ` : "";
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more problem(s))` : "";
  throw new AppError("invalid_request", `The ${where} is not valid: ${name}${first.message}${more}.`, {
    details: { issues, ...indexOf(result.error.issues[0]!.path) },
  });
}

/** Which element of a list was refused: a node sets that one aside and sends the rest again. */
function indexOf(path: PropertyKey[]): { index?: number } {
  const index = path.find((part) => typeof part === "number");
  return index === undefined ? {} : { index };
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const announced = request.headers.get("content-length");
  if (Number(announced ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (!request.body) return new Uint8Array();
  // The server holds a body to the length that was announced, so this one is bounded and may be read at once.
  if (announced !== null) return await request.bytes();
  return await readChunks(request.body, maxBytes);
}

async function readChunks(body: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** A call without a body counts as one with an empty object: many calls need none. */
function readJson(request: Request, bytes: Uint8Array): unknown {
  if (bytes.length === 0) return {};
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json\b/i.test(type)) {
    throw new AppError("unsupported_media_type", "Send the body as JSON with Content-Type: application/json.");
  }
  if (depthOf(bytes) > DEPTH_MAX) {
    throw new AppError("invalid_json", `The body nests deeper than the ${DEPTH_MAX} levels that this call takes.`);
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new AppError("invalid_json", "The body is not valid JSON in UTF-8.", { cause });
  }
}

/** How deep arrays and objects nest, counted without parsing. */
function depthOf(bytes: Uint8Array): number {
  const [quote, escape, opening, closing] = [0x22, 0x5c, [0x5b, 0x7b], [0x5d, 0x7d]];
  let [depth, deepest, inText] = [0, 0, false];
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (inText && byte === escape) at++;
    else if (byte === quote) inText = !inText;
    else if (!inText && opening.includes(byte)) deepest = Math.max(deepest, ++depth);
    else if (!inText && closing.includes(byte)) depth--;
  }
  return deepest;
}

function tooLarge(maxBytes: number): AppError {
  return new AppError("payload_too_large", `The body is larger than the ${maxBytes} bytes that this call takes.`, {
    details: { maxBytes },
  });
}
