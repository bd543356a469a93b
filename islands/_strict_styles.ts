/**
 * Lets a library that makes styles by itself live under a strict policy: its style sheets get the page's nonce, and a
 * style attribute of its spans is set by way of the style object, which the policy does not concern.
 */

/** Runs `make`; the style sheets that are made meanwhile are the page's own. */
export function withNonce(page: Document, make: () => void): void {
  const nonce = page.querySelector<HTMLScriptElement>("script[nonce]")?.nonce ?? "";
  const value = (name: string): HTMLElement => {
    const element = Document.prototype.createElement.call(page, name);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    return element;
  };
  Object.defineProperty(page, "createElement", { value, configurable: true });
  try {
    make();
  } finally {
    Reflect.deleteProperty(page, "createElement");
  }
}

/** From now on `setAttribute("style", …)` of a span does what it says. Again without effect. */
export function letSpansBeStyled(): void {
  Object.defineProperty(HTMLSpanElement.prototype, "setAttribute", { value: setAttribute, configurable: true });
}

function setAttribute(this: HTMLElement, name: string, value: string): void {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}
