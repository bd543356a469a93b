/**
 * What went wrong at Hetzner, taken out of whatever was thrown: never the thrown thing itself, because a network error
 * of the library carries the token in its configuration.
 */
import { z } from "zod";
import { cutText } from "../bytes.ts";
import { scrub } from "../log.ts";
import { ProviderError } from "./provider.ts";

const MESSAGE_MAX = 300;

const thrown = z.looseObject({
  code: z.string().optional(),
  message: z.string().optional(),
  response: z.looseObject({
    status: z.number(),
    headers: z.record(z.string(), z.unknown()).optional(),
    data: z.unknown(),
  }).optional(),
});

const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string().optional() }) });

/** Sentences for people, by the provider's code; waiting helps where it is a matter of room. */
const SENTENCES: Record<string, { text: string; waitable: boolean }> = {
  unauthorized: {
    text: "Hetzner refused the API token. Store a valid one, with read and write access, in your credentials",
    waitable: false,
  },
  forbidden: {
    text: "Hetzner does not allow this with the API token. Store one with read and write access in your credentials",
    waitable: false,
  },
  resource_limit_exceeded: {
    text: "the Hetzner project has reached its limit of servers. Delete some there, or ask Hetzner for a higher limit",
    waitable: true,
  },
  resource_unavailable: { text: "Hetzner has no such server free at this location now", waitable: true },
  placement_error: { text: "Hetzner has no such server free at this location now", waitable: true },
  rate_limit_exceeded: { text: "Hetzner takes no more calls for the moment", waitable: true },
  locked: { text: "the server is locked by another action at Hetzner", waitable: true },
  conflict: { text: "the server is being changed at Hetzner at this moment", waitable: true },
  maintenance: { text: "Hetzner is under maintenance", waitable: true },
  unreachable: { text: "Hetzner could not be reached", waitable: true },
  timeout: { text: "Hetzner did not answer in time", waitable: true },
  server_error: { text: "Hetzner answered with an error of its own", waitable: true },
};

export interface HetznerFault {
  /** The provider's code, or `unreachable`, `timeout`, `server_error`, `unreadable`. */
  code: string;
  status: number | null;
  detail: string;
  /** When the provider says that it takes calls again. */
  retryAfterMs: number | null;
}

export class HetznerError extends ProviderError {
  override name = "HetznerError";
  readonly fault: HetznerFault;

  constructor(fault: HetznerFault) {
    const known = SENTENCES[fault.code];
    const text = known?.text ?? "Hetzner refused the call";
    super(fault.detail ? `${text} (${fault.detail})` : text, { waitable: known?.waitable ?? false });
    this.fault = fault;
  }

  get code(): string {
    return this.fault.code;
  }

  /** The same call may simply be made again, if it is one that may be repeated. */
  get transient(): boolean {
    return ["unreachable", "timeout", "server_error", "rate_limit_exceeded", "locked", "conflict"].includes(this.code);
  }

  /** The call may have been carried out although no answer says so. */
  get uncertain(): boolean {
    return ["unreachable", "timeout", "server_error", "unreadable"].includes(this.code);
  }
}

/** The error of a call; `token` never shows in it. */
export function toHetznerError(error: unknown, facts: { token: string; now: number }): HetznerError {
  if (error instanceof HetznerError) return error;
  const seen = thrown.safeParse(error).data ?? {};
  const clean = (text: string) => cutText(scrub(text.replaceAll(facts.token, "[secret]")), MESSAGE_MAX);
  if (!seen.response) return new HetznerError({ ...networkFault(seen, clean), status: null, retryAfterMs: null });
  const { status, headers = {} } = seen.response;
  const body = errorBody.safeParse(seen.response.data).data?.error;
  return new HetznerError({
    code: body?.code ?? codeOf(status),
    status,
    detail: body?.message ? clean(body.message) : `status ${status}`,
    retryAfterMs: status === 429 ? retryAfterOf(headers, facts.now) : null,
  });
}

function networkFault(
  seen: { code?: string; message?: string },
  clean: (text: string) => string,
): Pick<HetznerFault, "code" | "detail"> {
  if (["ECONNABORTED", "ETIMEDOUT", "ERR_CANCELED"].includes(seen.code ?? "")) return { code: "timeout", detail: "" };
  if (seen.code) return { code: "unreachable", detail: clean(seen.code) };
  // The library tripped over an answer that it did not expect.
  return { code: "unreadable", detail: clean(seen.message ?? "the answer could not be read") };
}

function codeOf(status: number): string {
  if (status === 401) return "unauthorized";
  if (status === 403) return "forbidden";
  if (status === 404) return "not_found";
  if (status === 429) return "rate_limit_exceeded";
  return status >= 500 ? "server_error" : "refused";
}

/** `Retry-After` in seconds, else the time at which the limit is whole again. */
function retryAfterOf(headers: Record<string, unknown>, now: number): number | null {
  const after = Number(headers["retry-after"]);
  if (headers["retry-after"] !== undefined && Number.isFinite(after)) return Math.max(0, after * 1_000);
  const reset = Number(headers["ratelimit-reset"]);
  return headers["ratelimit-reset"] !== undefined && Number.isFinite(reset) ? Math.max(0, reset * 1_000 - now) : null;
}
