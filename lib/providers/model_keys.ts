/** Whether a model's provider accepts a key: one call that lists models, which costs nothing. */
import ky from "ky";
import type { CredentialCheck, ModelProvider } from "../wire/credential.ts";

const TIMEOUT_MS = 10_000;

interface Call {
  label: string;
  url: string;
  headers: (key: string) => Record<string, string>;
}

const CALLS: Record<ModelProvider, Call> = {
  anthropic: {
    label: "Anthropic",
    url: "https://api.anthropic.com/v1/models?limit=1",
    headers: (key) => ({ "x-api-key": key, "anthropic-version": "2023-06-01" }),
  },
  openai: {
    label: "OpenAI",
    url: "https://api.openai.com/v1/models",
    headers: (key) => ({ authorization: `Bearer ${key}` }),
  },
  google: {
    label: "Google",
    url: "https://generativelanguage.googleapis.com/v1beta/models?pageSize=1",
    headers: (key) => ({ "x-goog-api-key": key }),
  },
};

/** `url` takes the place of the provider's own address. */
export async function checkModelKey(provider: ModelProvider, key: string, url?: string): Promise<CredentialCheck> {
  const call = CALLS[provider];
  try {
    const response = await ky(url ?? call.url, {
      headers: call.headers(key),
      retry: 0,
      timeout: TIMEOUT_MS,
      // A redirect would carry the key elsewhere.
      redirect: "manual",
      throwHttpErrors: false,
    });
    await response.body?.cancel();
    if (response.status === 200) return { ok: true, message: `${call.label} accepts the key.` };
    const refused = [400, 401, 403].includes(response.status);
    const text = refused ? "does not accept the key" : "could not tell, try again later";
    return { ok: false, message: `${call.label} ${text} (status ${response.status}).` };
  } catch {
    // What was thrown may hold the request with the key.
    return { ok: false, message: `${call.label} could not be reached.` };
  }
}
