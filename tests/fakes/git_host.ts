/**
 * A Git host: real repositories over real https, served by git's own `http-backend` to who knows the password, with a
 * certificate of its own that is made for the test. It keeps who asked for what.
 */
import { join } from "node:path";

const BACKEND_ENV = { GIT_HTTP_EXPORT_ALL: "1", GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null" };

export interface Asked {
  method: string;
  path: string;
  /** User and password that came with it, or null. */
  login: string | null;
}

export interface Certificate {
  cert: string;
  key: string;
  /** For `GIT_SSL_CAINFO`. */
  path: string;
}

/** A certificate for `localhost` that nobody but this test trusts. */
export async function makeCertificate(folder: string): Promise<Certificate> {
  const [path, keyPath] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const args = ["req", "-x509", ...kind, ...name, "-keyout", keyPath, "-out", path];
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`openssl made no certificate: ${new TextDecoder().decode(stderr)}`);
  const [cert, key] = await Promise.all([Deno.readTextFile(path), Deno.readTextFile(keyPath)]);
  return { cert, key, path };
}

export class GitHost implements AsyncDisposable {
  /** `user:password`. */
  login = "x-access-token:a-token-for-git-0123456789";
  readonly asked: Asked[] = [];
  /** Answers instead of git where it is something. */
  override: (asked: Asked, request: Request) => Response | null = () => null;
  readonly #root: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** Serves the repositories that lie in `root`. */
  constructor(root: string, { cert, key }: Certificate) {
    this.#root = root;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** With the port. */
  get host(): string {
    return `localhost:${this.#server.addr.port}`;
  }

  urlOf(name: string): string {
    return `https://${this.host}/${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const basic = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
    const login = basic === undefined ? null : atob(basic);
    const asked = { method: request.method, path: pathname + search, login };
    this.asked.push(asked);
    const other = this.override(asked, request);
    if (other) return other;
    if (login === this.login) return await this.#runGit(request);
    return new Response("Who are you?", { status: 401, headers: { "www-authenticate": 'Basic realm="git"' } });
  }

  async #runGit(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    const child = new Deno.Command("git", {
      args: ["http-backend"],
      env: {
        ...BACKEND_ENV,
        GIT_PROJECT_ROOT: this.#root,
        PATH_INFO: decodeURIComponent(pathname),
        QUERY_STRING: search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers.get("content-type") ?? "",
        CONTENT_LENGTH: String(body.length),
        HTTP_CONTENT_ENCODING: request.headers.get("content-encoding") ?? "",
        REMOTE_USER: "somebody",
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(body);
    await writer.close();
    return toResponse((await child.output()).stdout);
  }
}

/** What a CGI program says: header lines, an empty line, the body. */
function toResponse(output: Uint8Array): Response {
  const end = new TextDecoder("latin1").decode(output.subarray(0, 8_192)).indexOf("\r\n\r\n");
  const lines = new TextDecoder().decode(output.subarray(0, end)).split("\r\n");
  const headers = new Headers(
    lines.map((line): [string, string] => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const status = Number(headers.get("status")?.split(" ")[0] ?? 200);
  headers.delete("status");
  return new Response(output.slice(end + 4), { status, headers });
}
