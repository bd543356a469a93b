/**
 * One call of a tool: name, target, how it went and how long it took, its output as a preview of 500 characters with
 * the whole on demand, and its changes as a diff.
 */
import { useSignal } from "@preact/signals";
import { cutText } from "../bytes.ts";
import type { ToolMetadata } from "../wire/message.ts";
import { Diff } from "./Diff.tsx";
import { ChangeCount } from "./ChangeCount.tsx";
import { countChanges, diffLines } from "./diff_lines.ts";
import { toolLabel } from "./labels.ts";
import { permissionLabel } from "./permission_label.ts";
import { duration } from "./time.ts";

const PREVIEW_CHARS = 500;

export interface ToolCardProps {
  /** Null for a message whose metadata was lost: its text is still shown. */
  tool: ToolMetadata | null;
  output: string;
  /** The store holds more than `output`; `onWhole` fetches it. */
  truncated: boolean;
  bytes?: number | undefined;
  onWhole?: (() => Promise<unknown>) | undefined;
}

export function ToolCard({ tool, output, truncated, bytes, onWhole }: ToolCardProps) {
  const whole = useSignal(false);
  const text = tool && isTitleOnly(tool, output) ? "" : output;
  const long = truncated || text.length > PREVIEW_CHARS;
  const toggle = async () => {
    if (!whole.value && truncated) await onWhole?.();
    whole.value = !whole.value;
  };
  const failed = tool?.status === "failed";
  return (
    <div class={failed ? "tool tool-failed" : "tool"}>
      <div class="tool-head">
        <span class="tool-name">{toolLabel(tool?.tool)}</span>
        {tool?.target ? <code class="tool-target" title={tool.target}>{tool.target}</code> : null}
        {tool?.diff ? <ChangeCount {...countChanges(diffLines(tool.diff))} /> : null}
        <ToolStatus tool={tool} />
      </div>
      {tool?.diff ? <Diff text={tool.diff} named={Boolean(tool.target)} /> : null}
      {text
        ? (
          <pre
            class="tool-output"
            tabIndex={0}
            aria-label="Output"
          >{whole.value ? text : cutText(text, PREVIEW_CHARS)}{long && !whole.value ? "…" : ""}</pre>
        )
        : null}
      {long
        ? (
          <button type="button" class="link-button" aria-expanded={whole.value ? "true" : "false"} onClick={toggle}>
            {whole.value ? "Show less" : `Show all (${sizeOf(bytes ?? text.length)})`}
          </button>
        )
        : null}
    </div>
  );
}

function ToolStatus({ tool }: { tool: ToolMetadata | null }) {
  if (!tool) return null;
  const time = tool.durationMs === undefined ? "" : ` (${duration(tool.durationMs)})`;
  if (tool.status === "executing") {
    return (
      <span class="tool-status">
        <span class="spinner" aria-hidden="true" />
        {tool.permission?.outcome === "asked" ? "Waiting for permission" : "Executing…"}
      </span>
    );
  }
  const failed = tool.status === "failed";
  return (
    <>
      <span class="tool-permission">{permissionLabel(tool.permission)}</span>
      <span class={failed ? "tool-status failed" : "tool-status"}>{`${failed ? "Error" : "Complete"}${time}`}</span>
    </>
  );
}

/** A tool without output carries its title as text; beside the name, the target and the diff it says nothing new. */
function isTitleOnly(tool: ToolMetadata, output: string): boolean {
  if (output === tool.tool || output === tool.target) return true;
  return Boolean(tool.diff && tool.target) && !output.includes("\n") && output.endsWith(tool.target!);
}

function sizeOf(count: number): string {
  return count < 10_000 ? `${count.toLocaleString("en")} characters` : `${Math.round(count / 1024)} KB`;
}
