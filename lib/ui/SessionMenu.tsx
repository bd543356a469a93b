/** What else can be done with a session: its history, its conversation as a file, what could not be delivered. */
import type { Node } from "../wire/node.ts";
import type { Session } from "../wire/session.ts";
import { Icon } from "./Icon.tsx";
import { Popover } from "./Popover.tsx";

export interface SessionMenuProps {
  session: Session;
  /** The machine of its run, where it is known. */
  node: Node | null;
  /** Who reads this: what a machine could not deliver is for its owner alone. */
  userId: string;
  onHistory: () => void;
}

export function SessionMenu({ session, node, userId, onHistory }: SessionMenuProps) {
  const file = `/api/projects/${session.projectId}/sessions/${session.id}/export`;
  return (
    <Popover label={<Icon name="more" />} name="More about this session" class="icon-button">
      {(close) => (
        <div class="menu-list">
          {session.taskId
            ? (
              <button
                type="button"
                class="menu-item"
                onClick={() => {
                  close();
                  onHistory();
                }}
              >
                History
              </button>
            )
            : null}
          <a class="menu-item" href={`${file}?format=md`} download onClick={close}>Export as Markdown</a>
          <a class="menu-item" href={`${file}?format=jsonl`} download onClick={close}>Export as JSON lines</a>
          {node?.ownerId === userId && (node.heartbeat?.deadLetters ?? 0) + node.deadLettersKept > 0
            ? <a class="menu-item" href={`/nodes/${node.id}/dead-letters?sessionId=${session.id}`}>Dead letters</a>
            : null}
        </div>
      )}
    </Popover>
  );
}
