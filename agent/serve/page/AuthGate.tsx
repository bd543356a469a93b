/** Asks for the API key before anything else, and says when it is wrong. A key that was right is remembered here. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Field, fieldProps } from "../../../lib/ui/Field.tsx";
import { fetchTicket, WrongKey } from "./socket.ts";

const STORED_AS = "hearth-api-key";
const WRONG = "The server does not know this key. Check HEARTH_API_KEY where it was started.";

export interface AuthGateProps {
  /** A key that was remembered is not valid any more. */
  isRefused: boolean;
  onEnter: (key: string, ticket: string) => void;
}

export function forgetKey(): void {
  localStorage.removeItem(STORED_AS);
}

export function AuthGate({ isRefused, onEnter }: AuthGateProps) {
  const key = useSignal("");
  const busy = useSignal(false);
  const error = useSignal<string | null>(isRefused ? WRONG : null);
  const enter = async (given: string) => {
    if (given === "") return void (error.value = "Enter the API key.");
    busy.value = true;
    error.value = null;
    try {
      const ticket = await fetchTicket(given);
      localStorage.setItem(STORED_AS, given);
      onEnter(given, ticket);
    } catch (failure) {
      if (failure instanceof WrongKey) forgetKey();
      error.value = failure instanceof WrongKey ? WRONG : "The server cannot be reached. Try again in a moment.";
    } finally {
      busy.value = false;
    }
  };
  useEffect(() => {
    const stored = localStorage.getItem(STORED_AS);
    if (stored) void enter(stored);
  }, []);
  const field = { id: "api-key", error: error.value };
  return (
    <main class="gate">
      <form
        class="gate-form"
        onSubmit={(event) => {
          event.preventDefault();
          void enter(key.value.trim());
        }}
      >
        <h1>Hearth chat</h1>
        <Field {...field} label="API key">
          <input
            {...fieldProps(field)}
            type="password"
            autocomplete="current-password"
            value={key.value}
            onInput={(event) => (key.value = event.currentTarget.value)}
          />
        </Field>
        <button type="submit" class="button primary" disabled={busy.value}>Sign in</button>
      </form>
    </main>
  );
}
