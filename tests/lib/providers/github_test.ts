import { assertEquals, assertRejects } from "@std/assert";
import { exchangeCode, type GithubOptions, GithubUnavailable, readPerson } from "../../../lib/providers/github.ts";
import { FakeGithub } from "../../fakes/github.ts";

const SHOWN = { code: "a-code-0123456789", verifier: "a-verifier-0123456789", redirectUri: "http://127.0.0.1/back" };

function optionsOf({ url, clientId, clientSecret }: FakeGithub, timeoutMs?: number): GithubOptions {
  return { url, apiUrl: `${url}/api/v3/`, clientId, clientSecret, timeoutMs };
}

async function refusalOf(options: GithubOptions): Promise<string> {
  const error = await assertRejects(() => exchangeCode(options, SHOWN), GithubUnavailable);
  const said = Deno.inspect(error, { depth: 9 });
  for (const secret of [options.clientSecret, SHOWN.code, SHOWN.verifier]) assertEquals(said.includes(secret), false);
  return error.message;
}

Deno.test("a GitHub that is silent, stops half way, or is not there ends the call in time", async () => {
  const over = Promise.withResolvers<void>();
  let half: ReadableStreamDefaultController<Uint8Array> | undefined;
  let gone: GithubOptions;
  {
    await using github = new FakeGithub();
    gone = optionsOf(github);
    github.fault = async () => {
      await over.promise;
      return new Response();
    };
    assertEquals(await refusalOf(optionsOf(github, 200)), "there was no answer that could be read");
    const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      half = controller;
      controller.enqueue(new TextEncoder().encode('{"access_token":'));
    };
    github.fault = () => new Response(new ReadableStream({ start, cancel: () => half = undefined }));
    assertEquals(await refusalOf(optionsOf(github, 200)), "there was no answer that could be read");
    over.resolve();
    half?.close();
  }
  assertEquals(await refusalOf(gone), "there was no answer that could be read");
});

Deno.test("a code that GitHub does not know is no token, and a token that it does not know is nobody", async () => {
  await using github = new FakeGithub();
  assertEquals(await exchangeCode(optionsOf(github), SHOWN), null);
  await assertRejects(() => readPerson(optionsOf(github), "gho_unknown"), GithubUnavailable, "status 401");
});

Deno.test("a redirect is not followed: the secret goes to nobody else", async () => {
  await using github = new FakeGithub();
  await using other = new FakeGithub();
  github.fault = (path) => Response.redirect(other.url + path, 307);
  assertEquals(await refusalOf(optionsOf(github)), "the exchange of the code was answered with status 307");
  assertEquals(other.calls, []);
});
