/** What of the configuration goes together, and what is refused at the start. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { readEdgeConfig } from "../../lib/config.ts";
import { ConfigError } from "../../lib/env.ts";

const GITHUB = { GITHUB_CLIENT_ID: "Iv1.0123456789abcdef", GITHUB_CLIENT_SECRET: "a-secret-of-the-tests" };

function problemOf(environment: Record<string, string>): string {
  const { message } = assertThrows(() => readEdgeConfig(environment), ConfigError) as ConfigError;
  assertEquals(message.includes(GITHUB.GITHUB_CLIENT_SECRET), false);
  return message;
}

Deno.test("sign-in at GitHub is configured whole, or it is said what is missing", () => {
  assertEquals(readEdgeConfig(GITHUB).GITHUB_URL, "https://github.com");
  const { GITHUB_CLIENT_SECRET } = GITHUB;
  assertMatch(problemOf({ GITHUB_CLIENT_SECRET }), /GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET: go together/);
  const allowed = { GITHUB_ALLOWED: "ada, org:acme", NODE_PROVIDER: "manual" };
  assertEquals(readEdgeConfig({ ...GITHUB, ...allowed }).GITHUB_ALLOWED, "ada, org:acme");
  assertMatch(problemOf(allowed), /GITHUB_ALLOWED: needs GITHUB_CLIENT_ID/);
  assertMatch(problemOf({ ...GITHUB, GITHUB_ALLOWED: "ada" }), /needs LOCAL_PROVIDER_SHARED=1/);
  for (const GITHUB_ALLOWED of ["*", "org:", "team:acme", "ada;eve", "https://github.com/ada"]) {
    assertMatch(problemOf({ ...GITHUB, ...allowed, GITHUB_ALLOWED }), /GITHUB_ALLOWED: must be logins/);
  }
});

Deno.test("secrets are sent to GitHub over https alone, unless it is this machine", () => {
  for (const name of ["GITHUB_URL", "GITHUB_API_URL"]) {
    assertMatch(problemOf({ ...GITHUB, [name]: "http://github.example.org" }), new RegExp(`${name}: must be https`));
    readEdgeConfig({ ...GITHUB, [name]: "http://127.0.0.1:9" });
  }
});
