/**
 * Marks islands while a page renders on the server. A hook on vnode creation swaps a registered component for a
 * boundary that writes `<hearth-island>` around its HTML and notes its props; the browser's entry (`client.ts`)
 * finds them by index. An island inside another is part of it and gets no mark of its own.
 * Islands are function components whose props are JSON.
 */
import {
  type Attributes,
  type ComponentType,
  createContext,
  type FunctionComponent,
  h,
  options,
  type VNode,
} from "preact";
import { useContext } from "preact/hooks";

/** Any component, whatever its props. */
export type Island = ComponentType<never>;
export type IslandList = Readonly<Record<string, Island>>;

export interface IslandUse {
  name: string;
  props: Record<string, unknown>;
}

type Props = Record<string, unknown>;
interface Registered {
  name: string;
  inner: FunctionComponent<Props>;
}

/** Where the islands of the page being rendered are noted; null inside an island and outside a page. */
export const Collector = createContext<IslandUse[] | null>(null);

const registered = new Map<unknown, Registered>();
let hooked = false;

/** Makes every later vnode of these components an island. Safe to call again with the same list. */
export function registerIslands(islands: IslandList): void {
  for (const [name, component] of Object.entries(islands)) {
    if (registered.has(component)) continue;
    const render = component as unknown as (props: Props) => VNode | null;
    // A component of its own, unknown to the hook, so that rendering it does not mark it again.
    registered.set(component, { name, inner: (props) => render(props) });
  }
  if (hooked) return;
  hooked = true;
  const previous = options.vnode;
  options.vnode = (vnode) => {
    const island = registered.get(vnode.type);
    if (island) {
      const props = vnode.props;
      Object.assign(vnode, { type: Boundary, props: { island, props } });
    }
    previous?.(vnode);
  };
}

function Boundary({ island, props }: { island: Registered; props: Props }): VNode {
  const uses = useContext(Collector);
  if (!uses) return h(island.inner, props);
  const index = uses.push({ name: island.name, props: plainProps(props) }) - 1;
  return h(
    "hearth-island",
    { "data-island": index } as Attributes,
    h(Collector.Provider, { value: null }, h(island.inner, props)),
  );
}

function plainProps(props: Props): Props {
  const { children, ...rest } = props;
  if (children !== undefined) throw new Error("An island takes no children: they cannot be sent to the browser.");
  return rest;
}
