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

Deno.test("the local provider is for one machine: refused where others reach it and on the hosted platform", () => {
  for (const HOST of ["0.0.0.0", "::", "192.168.1.5", "127.0.0.1.example.org"]) {
    assertMatch(problemOf({ HOST }), /NODE_PROVIDER: .*needs LOCAL_ALLOW_REMOTE=1/);
    assertEquals(readEdgeConfig({ HOST, LOCAL_ALLOW_REMOTE: "1" }).HOST, HOST);
    assertEquals(readEdgeConfig({ HOST, NODE_PROVIDER: "manual" }).HOST, HOST);
  }
  for (const HOST of ["127.0.0.1", "localhost", "::1"]) assertEquals(readEdgeConfig({ HOST }).HOST, HOST);
  assertMatch(problemOf({ DENO_DEPLOYMENT_ID: "d" }), /NODE_PROVIDER: local runs agents as child processes/);
});

Deno.test("on the hosted platform every secret has to be given, and all that are missing are told at once", () => {
  const hosted = { DENO_DEPLOYMENT_ID: "d", NODE_PROVIDER: "manual" };
  const told = problemOf(hosted);
  for (const name of ["HEARTH_ADMIN_KEY", "ENCRYPTION_KEY", "JWT_SECRET"]) {
    assertMatch(told, new RegExp(`${name}: is required on the hosted platform`));
  }
  const given = {
    HEARTH_ADMIN_KEY: `hk_${"a".repeat(43)}`,
    ENCRYPTION_KEY: "k1:secret",
    JWT_SECRET: "s".repeat(32),
  };
  assertEquals(readEdgeConfig({ ...hosted, ...given }).onDeploy, true);
});

Deno.test("rented machines have to know where the agent is and reach the edge by https", () => {
  const download = { AGENT_BINARY_URL_X64: "https://downloads.example.org/agent" };
  const whole = { ...download, AGENT_BINARY_SHA256_X64: "ab".repeat(32) };
  const rented = { NODE_PROVIDER: "hetzner", PUBLIC_URL: "https://hearth.example.org/" };
  assertMatch(problemOf(rented), /AGENT_BINARY_URL_X64: is required with NODE_PROVIDER=hetzner/);
  assertMatch(problemOf({ ...rented, ...download }), /AGENT_BINARY_URL_X64 and AGENT_BINARY_SHA256_X64: go together/);
  const agentOverHttp = { ...whole, AGENT_BINARY_URL_X64: "http://downloads.example.org/agent" };
  assertMatch(problemOf({ ...rented, ...agentOverHttp }), /AGENT_BINARY_URL_X64: must be https/);
  assertMatch(problemOf({ ...rented, ...whole, PUBLIC_URL: "http://127.0.0.1:8000" }), /PUBLIC_URL: .*can reach/);
  assertMatch(problemOf({ ...rented, ...whole, PUBLIC_URL: "http://hearth.example.org" }), /PUBLIC_URL: must be https/);
  const { publicUrl, DEFAULT_CODING_AGENT } = readEdgeConfig({ ...rented, ...whole });
  assertEquals([publicUrl, DEFAULT_CODING_AGENT], ["https://hearth.example.org", "claude"]);
  assertEquals(readEdgeConfig({}).DEFAULT_CODING_AGENT, "demo");
});
