/**
 * What the coding agent asks before it acts, where it waits for the answer: the act itself, the change that it would
 * make, and the options in its own words, those that allow first.
 */
import { useSignal } from "@preact/signals";
import { useContext } from "preact/hooks";
import type { PermissionRequest } from "../wire/permission.ts";
import { ClockContext } from "./clock.ts";
import { Diff } from "./Diff.tsx";
import { toolLabel } from "./labels.ts";
import { remaining } from "./time.ts";

export interface PermissionListProps {
  /** Those that wait, the oldest first. */
  requests: PermissionRequest[];
  onAnswer: (request: PermissionRequest, optionId: string) => Promise<void>;
}

export function PermissionList({ requests, onAnswer }: PermissionListProps) {
  return (
    <>
      {requests.map((request) => <PermissionCard key={request.requestId} request={request} onAnswer={onAnswer} />)}
    </>
  );
}

function PermissionCard({ request, onAnswer }: Pick<PermissionListProps, "onAnswer"> & { request: PermissionRequest }) {
  const busy = useSignal(false);
  const { title, toolMetadata: tool, options, expiresAt } = request;
  const clock = useContext(ClockContext);
  const left = clock ? remaining(expiresAt, clock.value.now) : "";
  const answer = async (optionId: string) => {
    busy.value = true;
    await onAnswer(request, optionId);
    busy.value = false;
  };
  const ordered = options.toSorted((a, b) => Number(isRefusal(a.kind)) - Number(isRefusal(b.kind)));
  return (
    <section class="permission" aria-label="The agent asks for permission" data-request={request.requestId}>
      <p class="permission-head">
        <strong>The agent asks for permission</strong>
        {left ? <span class="permission-left">{`Refused in ${left} without an answer`}</span> : null}
      </p>
      <p class="permission-act">
        <span class="tool-name">{toolLabel(tool?.tool)}</span>
        <code>{tool?.target || title}</code>
      </p>
      {tool?.diff ? <Diff text={tool.diff} named={Boolean(tool.target)} /> : null}
      <div class="permission-options">
        {ordered.map(({ optionId, name, kind }, at) => (
          <button
            type="button"
            class={at === 0 && !isRefusal(kind) ? "button primary" : "button"}
            disabled={busy.value}
            key={optionId}
            onClick={() => void answer(optionId)}
          >
            {name || kind}
          </button>
        ))}
      </div>
    </section>
  );
}

function isRefusal(kind: string): boolean {
  return kind.startsWith("reject");
}
