/** A JSON schema in a few lines that a person can read: `{ title?: text (1–200), dependsOn?: [id] }`. Pure. */
import { z } from "zod";

const INDENT = "  ";
const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** What is told of a schema; anything else in it is left out. */
const schema = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  additionalProperties: z.unknown().optional(),
  items: z.unknown().optional(),
  format: z.string().optional(),
  pattern: z.string().optional(),
  minLength: z.number().optional(),
  maxLength: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
});
type Schema = z.infer<typeof schema>;

/** `json`, a JSON schema, as text of one or several lines. */
export function describeSchema(json: unknown, indent = ""): string {
  const read = schema.parse(json === true || json === undefined ? {} : json);
  const options = read.anyOf ?? read.oneOf;
  if (options) return options.map((option) => describeSchema(option, indent)).join(" | ");
  if (read.const !== undefined) return JSON.stringify(read.const);
  if (read.enum) return read.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (read.$ref) return read.$ref.split("/").at(-1)!;
  const types = [read.type ?? "anything"].flat();
  return types.map((type) => describeType(type, read, indent)).join(" | ");
}

function describeType(type: string, read: Schema, indent: string): string {
  switch (type) {
    case "object":
      return describeObject(read, indent);
    case "array":
      return `[${describeSchema(read.items, indent)}]`;
    case "string":
      return describeText(read);
    case "integer":
    case "number":
      return type + rangeOf(read.minimum, read.maximum);
    default:
      return type;
  }
}

function describeText({ format, pattern, minLength, maxLength }: Schema): string {
  if (format === "date-time") return "time";
  if (pattern?.startsWith("^[0-9a-f]{8}-")) return "id";
  return `text${rangeOf(minLength, maxLength)}`;
}

function describeObject({ properties, required = [], additionalProperties }: Schema, indent: string): string {
  const inner = indent + INDENT;
  const fields = Object.entries(properties ?? {}).map(([name, value]) => {
    return `${inner}${name}${required.includes(name) ? "" : "?"}: ${describeSchema(value, inner)}`;
  });
  if (additionalProperties) fields.push(`${inner}…: ${describeSchema(additionalProperties, inner)}`);
  return fields.length === 0 ? "{}" : `{\n${fields.join("\n")}\n${indent}}`;
}

/** Bounds that say something: not the end of what a number can be. */
function rangeOf(min: number | undefined, max: number | undefined): string {
  const [low, high] = [
    min !== undefined && min > -NUMBER_MAX ? min : undefined,
    max !== undefined && max < NUMBER_MAX ? max : undefined,
  ];
  if (low !== undefined && high !== undefined) return ` (${low}–${high})`;
  if (high !== undefined) return ` (at most ${high})`;
  return low === undefined || low === 0 ? "" : ` (at least ${low})`;
}
