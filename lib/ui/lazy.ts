/** A component whose code a first load goes without: loaded when it is first rendered, nothing until then. */
import { useSignal } from "@preact/signals";
import { type ComponentType, h } from "preact";
import { useEffect } from "preact/hooks";

/** Where loading fails the component says so in its place, with a way to try again. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let component: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const state = useSignal<"loading" | "ready" | "failed">(component ? "ready" : "loading");
    const begin = () => {
      state.value = "loading";
      void load().then((loaded) => {
        component = loaded;
        state.value = "ready";
      }, () => void (state.value = "failed"));
    };
    useEffect(() => {
      if (!component) begin();
    }, []);
    if (state.value === "failed") return failure(begin);
    return state.value === "ready" && component ? h(component, props) : null;
  };
}

function failure(onRetry: () => void) {
  const retry = h("button", { type: "button", class: "link-button", onClick: onRetry }, "Retry");
  return h("p", { class: "field-error", role: "alert" }, "This could not be loaded. Check your connection. ", retry);
}
