/** Markdown for whoever shows messages: texts stay as they were written until its renderer is loaded. */
import { signal } from "@preact/signals";
import type { MarkdownRenderer, MarkdownSource } from "../lib/ui/Markdown.tsx";

/** The renderer of Markdown, loaded when the first text wants it. */
export function loadedMarkdown(): MarkdownSource {
  const renderer = signal<MarkdownRenderer | null>(null);
  let loading: Promise<void> | undefined;
  const load = async () => {
    const { createMarkdown } = await import("./_markdown.ts");
    renderer.value = createMarkdown();
  };
  return {
    renderer,
    want: () => {
      // Without it texts stay as they were written; the next one that wants it tries again.
      loading ??= load().catch(() => void (loading = undefined));
    },
  };
}
