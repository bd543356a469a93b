/** What else can be done with a session: its history, and its conversation as a file. */
import type { Session } from "../wire/session.ts";
import { Icon } from "./Icon.tsx";
import { Popover } from "./Popover.tsx";

export interface SessionMenuProps {
  session: Session;
  onHistory: () => void;
}

export function SessionMenu({ session, onHistory }: SessionMenuProps) {
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
        </div>
      )}
    </Popover>
  );
}
