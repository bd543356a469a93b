/** Tabs by the usual pattern: one stop of the Tab key, arrows move and choose, each names the panel that it shows. */
import { useRef } from "preact/hooks";

export interface Tab<T extends string> {
  id: T;
  label: string;
}

export interface TabsProps<T extends string> {
  /** What the tabs are of, for screen readers. */
  name: string;
  tabs: readonly Tab<T>[];
  chosen: T;
  onChoose: (id: T) => void;
}

export const panelId = (id: string): string => `panel-${id}`;
export const tabId = (id: string): string => `tab-${id}`;

export function Tabs<T extends string>({ name, tabs, chosen, onChoose }: TabsProps<T>) {
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const at = tabs.findIndex(({ id }) => id === chosen);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const tab = to === undefined ? undefined : tabs[(to + tabs.length) % tabs.length];
    if (!tab) return;
    event.preventDefault();
    onChoose(tab.id);
    list.current?.querySelector<HTMLElement>(`#${tabId(tab.id)}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={name} ref={list} onKeyDown={onKeyDown}>
      {tabs.map(({ id, label }) => (
        <button
          type="button"
          role="tab"
          class={id === chosen ? "tab current" : "tab"}
          id={tabId(id)}
          key={id}
          aria-selected={id === chosen ? "true" : "false"}
          aria-controls={panelId(id)}
          tabIndex={id === chosen ? 0 : -1}
          onClick={() => onChoose(id)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
