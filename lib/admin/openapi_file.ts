/** `openapi`: writes the API's description, generated from the endpoints, to the file that stands in the repository. */
import { openApi } from "../wire/openapi.ts";
import type { CommandResult } from "./command.ts";

const FILE = new URL("../../docs/openapi.json", import.meta.url);

/** The description as the file holds it. */
export function openApiText(): string {
  return `${JSON.stringify(openApi(), null, 2)}\n`;
}

export async function writeOpenApi(): Promise<CommandResult> {
  await Deno.writeTextFile(FILE, openApiText());
  return { text: `Wrote ${FILE.pathname}.` };
}
