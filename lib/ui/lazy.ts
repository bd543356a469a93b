/** A component whose code a first load goes without: loaded when it is first rendered, nothing until then. */
import { useSignal } from "@preact/signals";
import { type ComponentType, h } from "preact";
import { useEffect } from "preact/hooks";

/** Where loading fails nothing is shown, and the next rendering tries again. */
export function lazy<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let component: ComponentType<P> | null = null;
  return function Lazy(props: P) {
    const ready = useSignal(component !== null);
    useEffect(() => {
      if (component) return;
      void load().then((loaded) => {
        component = loaded;
        ready.value = true;
      }, () => {});
    }, []);
    return ready.value && component ? h(component, props) : null;
  };
}
