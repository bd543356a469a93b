/** Everything that can be done or gone to, found by typing. Arrows choose, Enter does it, Escape closes. */
import { useSignal } from "@preact/signals";
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { type Command, findCommands } from "./commands.ts";
import { Icon } from "./Icon.tsx";

export function CommandMenu({ commands, onClose }: { commands: Command[]; onClose: () => void }) {
  const text = useSignal("");
  const at = useSignal(0);
  const field = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const found = findCommands(commands, text.value);
  const chosen = Math.min(at.value, found.length - 1);
  useLayoutEffect(() => field.current?.focus(), []);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  });
  const act = (command: Command | undefined) => {
    if (!command) return;
    onClose();
    command.run();
  };
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLElement>) => {
    if (event.isComposing) return;
    const last = found.length - 1;
    const next = {
      ArrowDown: chosen >= last ? 0 : chosen + 1,
      ArrowUp: chosen <= 0 ? last : chosen - 1,
      Home: 0,
      End: last,
    }[event.key];
    if (next !== undefined) at.value = next;
    else if (event.key === "Enter") act(found[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <div class="commands" onKeyDown={onKeyDown}>
      <div class="commands-field">
        <Icon name="search" />
        <input
          ref={field}
          type="text"
          role="combobox"
          aria-label="Type a command or the name of a session"
          aria-expanded="true"
          aria-controls="command-list"
          aria-activedescendant={found[chosen] ? `command-${found[chosen].id}` : undefined}
          autoComplete="off"
          spellcheck={false}
          placeholder="Type a command or the name of a session…"
          value={text.value}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            at.value = 0;
          }}
        />
      </div>
      <div class="commands-list" id="command-list" role="listbox" aria-label="Commands" ref={list}>
        {found.map((command, index) => (
          <div
            key={command.id}
            id={`command-${command.id}`}
            role="option"
            class="command"
            aria-selected={index === chosen ? "true" : "false"}
            onPointerMove={() => (at.value = index)}
            onClick={() => act(command)}
          >
            <Icon name={command.icon} />
            <span class="command-label">{command.label}</span>
            {command.hint ? <span class="command-hint">{command.hint}</span> : null}
          </div>
        ))}
      </div>
      {found.length === 0 ? <p class="commands-none" role="status">Nothing is called that.</p> : null}
    </div>
  );
}
