/**
 * The page's document for a library that makes styles by itself, so that a strict policy lets them be: its style sheets
 * get the page's nonce, and a style attribute is set by way of the style object, which the policy does not concern.
 */

/** The document as the making of elements goes; everything else is the real one's. */
export function strictDocument(page: Document): Document {
  const createElement = strictly(page);
  return new Proxy(page, {
    get(target, name) {
      if (name === "createElement") return createElement;
      const value: unknown = Reflect.get(target, name);
      // The browser's own functions ask for the real document as their `this`.
      return typeof value === "function" ? value.bind(target) : value;
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  });
}

/** Runs `make`, which reaches for the page's own document: what it makes meanwhile is made in the same way. */
export function makeStrictly(page: Document, make: () => void): void {
  Object.defineProperty(page, "createElement", { value: strictly(page), configurable: true });
  try {
    make();
  } finally {
    Reflect.deleteProperty(page, "createElement");
  }
}

function strictly(page: Document): (name: string) => HTMLElement {
  const nonce = page.querySelector<HTMLScriptElement>("script[nonce]")?.nonce ?? "";
  return (name) => {
    const element = Document.prototype.createElement.call(page, name);
    if (element instanceof HTMLStyleElement) element.nonce = nonce;
    else element.setAttribute = (attribute, value) => setAttribute(element, attribute, value);
    return element;
  };
}

function setAttribute(element: HTMLElement, attribute: string, value: string): void {
  if (attribute === "style") element.style.cssText = value;
  else Element.prototype.setAttribute.call(element, attribute, value);
}
