/**
 * The few things of a browser that the page's store and its socket ask for, so that both run here as they are. What they
 * load is relative to the page's address; the network comes back when a test says so.
 */
export class PageGlobals implements Disposable {
  /** Where the page was sent; a page that holds its own is never sent anywhere. */
  readonly assigned: string[] = [];
  readonly #kept = new Map<string, PropertyDescriptor | undefined>();

  constructor(url: string) {
    const { Request } = globalThis;
    class PageRequest extends Request {
      constructor(input: RequestInfo | URL, init?: RequestInit) {
        super(typeof input === "string" && input.startsWith("/") ? url + input : input, init);
      }
    }
    this.#set("Request", PageRequest);
    this.#set("location", { href: `${url}/projects`, assign: (to: string) => this.assigned.push(to) });
    this.#set("document", Object.assign(new EventTarget(), { visibilityState: "visible" }));
    this.#set("navigator", { onLine: true });
  }

  /** The browser tells that the network is there again: the socket need not wait out its back-off. */
  comeOnline(): void {
    dispatchEvent(new Event("online"));
  }

  [Symbol.dispose](): void {
    for (const [name, descriptor] of this.#kept) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
    }
  }

  #set(name: string, value: unknown): void {
    this.#kept.set(name, Object.getOwnPropertyDescriptor(globalThis, name));
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}
