/**
 * The browser's entry: finds the islands that the server marked, loads their code and hydrates them with the props
 * that came with the page. The build calls `revive` with one loader per island.
 */
import { type ComponentType, h, hydrate } from "preact";
import { useEffect } from "preact/hooks";
import { z } from "zod";

type Props = Record<string, unknown>;
export type Loader = () => Promise<{ default: ComponentType<never> }>;

/** Hydrates every island on the page. An island that cannot be loaded leaves its server-rendered HTML as it is. */
export function revive(loaders: Record<string, Loader>): void {
  // Zod compiles schemas with `new Function` where it may, and tries: the page's policy would report that. This must
  // run before the first schema is made, so before any island's module.
  z.config({ jitless: true });
  const data = document.getElementById("island-props")?.textContent;
  if (!data) return;
  const uses = z.array(z.object({ name: z.string(), props: z.record(z.string(), z.unknown()) })).parse(
    JSON.parse(data),
  );
  for (const place of document.querySelectorAll("hearth-island[data-island]")) {
    const use = uses[Number(place.getAttribute("data-island"))];
    const load = use && loaders[use.name];
    if (use && load) void hydrateIsland(place, load, use.props);
  }
}

async function hydrateIsland(place: Element, load: Loader, props: Props): Promise<void> {
  const { default: component } = await load();
  const Island = () => {
    // Effects run some time after the first paint, the outermost last: from here on the island's own keys are heard.
    useEffect(() => place.setAttribute("data-ready", ""), []);
    return h(component as ComponentType<Props>, props);
  };
  hydrate(h(Island, null), place);
}
