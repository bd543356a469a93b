/** `deno task admin` as its own process, on the data that the environment given names. */
import { join } from "node:path";

const MAIN = join(import.meta.dirname!, "../../../lib/admin/main.ts");

export interface AdminResult {
  code: number;
  out: string;
  err: string;
}

export async function runAdmin(args: string[], env: Record<string, string>): Promise<AdminResult> {
  const kept = Object.entries(Deno.env.toObject()).filter(([name]) => ["PATH", "HOME", "DENO_DIR"].includes(name));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", MAIN, ...args],
    clearEnv: true,
    env: { ...Object.fromEntries(kept), NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}
