/**
 * Markdown to nodes, safe by two independent means: the parser takes no HTML and no address but the web's and mail's,
 * and what it writes passes a sanitiser with a short list of elements and attributes. Images become links. Loaded when
 * the first text wants it; languages of code are loaded one by one.
 */
import DOMPurify, { type DOMPurify as Sanitiser } from "dompurify";
import MarkdownIt from "markdown-it";
import type { MarkdownRenderer } from "../lib/ui/Markdown.tsx";
import { highlight, type ToNodes } from "./_highlight.ts";

const ADDRESS = /^(?:https?:\/\/|mailto:)/i;
const ELEMENTS = [
  ...["p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"],
  ...["h3", "h4", "h5", "table", "thead", "tbody", "tr", "th", "td"],
];
const ATTRIBUTES = ["href", "title", "start", "class"];
/** Below the page's own headings, and never deeper than a reader of headings can follow. */
const HEADING: Readonly<Record<string, string>> = { h1: "h3", h2: "h3", h3: "h4", h4: "h5", h5: "h5", h6: "h5" };

export function createMarkdown(): MarkdownRenderer {
  const parser = newParser();
  const sanitiser = newSanitiser({ CODE: /^language-[\w+#.-]{1,30}$/ });
  const colours = newSanitiser({ SPAN: /^hl-[a-z_]{1,30}/ });
  const toNodes = (html: string) =>
    colours.sanitize(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"], RETURN_DOM_FRAGMENT: true });
  return {
    render(text) {
      const nodes = sanitiser.sanitize(parser.render(text), {
        ALLOWED_TAGS: ELEMENTS,
        ALLOWED_ATTR: ATTRIBUTES,
        ALLOWED_URI_REGEXP: ADDRESS,
        ALLOW_DATA_ATTR: false,
        ALLOW_ARIA_ATTR: false,
        RETURN_DOM_FRAGMENT: true,
      });
      for (const code of nodes.querySelectorAll<HTMLElement>("pre > code")) frameCode(code, toNodes);
      return nodes;
    },
  };
}

function newParser(): InstanceType<typeof MarkdownIt> {
  const parser = new MarkdownIt({ html: false, linkify: true, breaks: true });
  parser.validateLink = (address) => ADDRESS.test(address);
  parser.renderer.rules.image = (tokens, index, options, env, self) => {
    const token = tokens[index]!;
    const address = parser.utils.escapeHtml(String(token.attrGet("src") ?? ""));
    const name = self.renderInlineAsText(token.children ?? [], options, env) || String(token.attrGet("src") ?? "");
    return `<a href="${address}">${parser.utils.escapeHtml(name)}</a>`;
  };
  parser.core.ruler.push("page_headings", (state) => {
    for (const token of state.tokens) token.tag = HEADING[token.tag] ?? token.tag;
  });
  return parser;
}

/** An own instance: its hooks are not those of anybody else. `classes`: what an element of that name may have. */
function newSanitiser(classes: Readonly<Record<string, RegExp>>): Sanitiser {
  const sanitiser = DOMPurify(globalThis as unknown as Parameters<typeof DOMPurify>[0]);
  sanitiser.addHook("afterSanitizeAttributes", (element) => {
    if (element.nodeName === "A" && element.hasAttribute("href")) {
      element.setAttribute("target", "_blank");
      element.setAttribute("rel", "noopener noreferrer");
    }
    // Any other class could borrow the page's looks.
    const allowed = classes[element.nodeName]?.exec(element.getAttribute("class") ?? "")?.[0];
    if (allowed) element.setAttribute("class", allowed);
    else element.removeAttribute("class");
  });
  return sanitiser;
}

/** Puts the language and a button that copies above a piece of code, and colours it. */
function frameCode(code: HTMLElement, toNodes: ToNodes): void {
  const language = code.className.replace("language-", "");
  const head = document.createElement("div");
  head.className = "code-head";
  const name = document.createElement("span");
  name.textContent = language || "text";
  const copy = document.createElement("button");
  copy.type = "button";
  copy.className = "link-button";
  copy.textContent = "Copy";
  copy.addEventListener("click", () => void copyText(code.textContent ?? "", copy));
  head.append(name, copy);
  const frame = document.createElement("div");
  frame.className = "code";
  const block = code.parentElement!;
  block.tabIndex = 0;
  block.replaceWith(frame);
  frame.append(head, block);
  if (language) highlight(code, { name: language, toNodes });
}

async function copyText(text: string, button: HTMLButtonElement): Promise<void> {
  const said = await navigator.clipboard.writeText(text).then(() => "Copied", () => "Copying failed");
  button.textContent = said;
  setTimeout(() => (button.textContent = "Copy"), 1_500);
}
