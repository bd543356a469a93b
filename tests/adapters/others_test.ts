/** Codex and Gemini, as far as it goes without their services: they start, shake hands and open a session. */
import { assert, assertEquals } from "@std/assert";
import { AcpSession } from "../../agent/coding/acp.ts";
import { findProfile } from "../../agent/coding/profiles.ts";
import { launchOf, record } from "../agent/coding/harness.ts";
import { needing, type PackageId, programFolder } from "./packages.ts";

const KEY = "test-key-0123456789abcdef";

for (const [id, variable] of [["codex", "OPENAI_API_KEY"], ["gemini", "GEMINI_API_KEY"]] as [PackageId, string][]) {
  Deno.test({
    ...needing(id, `${id}: starts, opens a session with a key, can go on with it, and keeps the key off the disk`),
    fn: async () => {
      const home = await Deno.makeTempDir();
      try {
        const PATH = `${programFolder(id)}:${Deno.env.get("PATH")}`;
        const profile = findProfile(id, { selfCommand: [], childEnvironment: { PATH } });
        assert(profile);
        const env = { PATH, HOME: home, TMPDIR: home, [variable]: KEY };
        await using session = await AcpSession.start(launchOf(home, { profile, env }));
        await session.open({ cwd: home, resume: null, events: record().events });
        assert(session.sessionId !== null && session.isResumable);
        await session[Symbol.asyncDispose]();
        const { stdout } = await new Deno.Command("grep", { args: ["-rlaF", "--", KEY, home] }).output();
        assertEquals(new TextDecoder().decode(stdout), "");
      } finally {
        await Deno.remove(home, { recursive: true });
      }
    },
  });
}
