/** Signing in as a browser does. */
import type { Answer, TestEdge } from "../../edge.ts";

/** A browser's view of the edge: it keeps the login cookie and says where it comes from. */
export class Browser {
  readonly #test: TestEdge;
  cookie = "";
  /** The last `Set-Cookie` as it came. */
  setCookie = "";

  constructor(test: TestEdge) {
    this.#test = test;
  }

  async signIn(apiKey: string): Promise<Answer> {
    return await this.call("POST", "/api/auth/login", { body: { apiKey } });
  }

  async call(
    method: string,
    path: string,
    options: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const response = await fetch(this.#test.url + path, {
      method,
      redirect: "manual",
      headers: {
        origin: this.#test.url,
        ...this.cookie ? { cookie: this.cookie } : {},
        ...options.body === undefined ? {} : { "content-type": "application/json" },
        ...options.headers,
      },
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
    });
    const set = response.headers.get("set-cookie");
    if (set) [this.setCookie, this.cookie] = [set, set.split(";")[0]!];
    const text = await response.text();
    const isJson = /json/.test(response.headers.get("content-type") ?? "");
    return { status: response.status, body: isJson && text ? JSON.parse(text) : text, headers: response.headers };
  }

  /** The status of a call that only a signed-in user may make. */
  async me(): Promise<number> {
    return (await this.call("GET", "/api/me")).status;
  }
}
