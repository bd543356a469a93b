/**
 * GitHub as a place to sign in: it asks nobody, but checks what it is sent: client, secret, address, each code once, and
 * PKCE. People, organisations and faults are set by the test.
 */
import { createHash } from "node:crypto";

export interface FakePerson {
  id: number;
  login: string;
  name?: string | null;
}

interface Grant {
  person: FakePerson;
  challenge: string;
  redirectUri: string;
}

export class FakeGithub implements AsyncDisposable {
  readonly clientId = "Iv1.fakeClient";
  readonly clientSecret = "a-client-secret-of-the-tests";
  /** Who sits at the browser. */
  person: FakePerson = { id: 1, login: "ada", name: "Ada Lovelace" };
  /** States of membership, by `organisation/id`. */
  readonly memberships = new Map<string, "active" | "pending">();
  /** Every query with which a browser came. */
  readonly visits: URLSearchParams[] = [];
  /** Paths of the calls that the edge made. */
  readonly calls: string[] = [];
  /** Everything secret that was given out. */
  readonly secrets: string[] = [];
  /** Answers a call instead, where it is something. */
  fault: (path: string) => Response | Promise<Response> | null = () => null;
  readonly #grants = new Map<string, Grant>();
  readonly #tokens = new Map<string, FakePerson>();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    return this.#answer(request);
  });

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Variables of an edge that signs in here. */
  get env(): Record<string, string> {
    return {
      GITHUB_CLIENT_ID: this.clientId,
      GITHUB_CLIENT_SECRET: this.clientSecret,
      GITHUB_URL: this.url,
      GITHUB_API_URL: `${this.url}/api/v3`,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (pathname === "/login/oauth/authorize") return this.#authorize(searchParams);
    this.calls.push(pathname);
    const fault = await this.fault(pathname);
    if (fault) {
      await request.body?.cancel();
      return fault;
    }
    if (pathname === "/login/oauth/access_token") return this.#exchange(new URLSearchParams(await request.text()));
    const person = this.#tokens.get(request.headers.get("authorization")?.replace(/^Bearer /, "") ?? "");
    if (!person) return Response.json({ message: "Bad credentials" }, { status: 401 });
    if (pathname === "/api/v3/user") return Response.json({ ...person, name: person.name ?? null, type: "User" });
    const [, organisation] = /^\/api\/v3\/user\/memberships\/orgs\/([\w-]+)$/.exec(pathname) ?? [];
    const state = this.memberships.get(`${organisation}/${person.id}`);
    return state ? Response.json({ state, role: "member" }) : Response.json({ message: "Not Found" }, { status: 404 });
  }

  #authorize(query: URLSearchParams): Response {
    this.visits.push(query);
    if (query.get("client_id") !== this.clientId || query.get("code_challenge_method") !== "S256") {
      return new Response("unknown client, or no PKCE", { status: 404 });
    }
    const [code, back] = [this.#secret("code"), new URL(query.get("redirect_uri")!)];
    this.#grants.set(code, {
      person: this.person,
      challenge: query.get("code_challenge")!,
      redirectUri: query.get("redirect_uri")!,
    });
    back.searchParams.set("code", code);
    back.searchParams.set("state", query.get("state")!);
    return new Response(null, { status: 302, headers: { location: back.href } });
  }

  #exchange(form: URLSearchParams): Response {
    if (form.get("client_id") !== this.clientId || form.get("client_secret") !== this.clientSecret) {
      return Response.json({ error: "incorrect_client_credentials" });
    }
    const grant = this.#grants.get(form.get("code") ?? "");
    this.#grants.delete(form.get("code") ?? "");
    const shown = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    if (!grant || grant.redirectUri !== form.get("redirect_uri") || grant.challenge !== shown) {
      return Response.json({ error: "bad_verification_code", error_description: "incorrect or expired" });
    }
    const token = this.#secret("gho_");
    this.#tokens.set(token, grant.person);
    return Response.json({ access_token: token, token_type: "bearer", scope: "" });
  }

  #secret(prefix: string): string {
    const secret = prefix + crypto.randomUUID().replaceAll("-", "");
    this.secrets.push(secret);
    return secret;
  }
}
