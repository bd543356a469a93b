/**
 * The part of `ws` that the control link uses. The package's own types pull Node's into every program that imports
 * them, where they take the place of Deno's.
 */
export interface ClientOptions {
  headers?: Record<string, string>;
  handshakeTimeout?: number;
  maxPayload?: number;
  perMessageDeflate?: boolean;
  followRedirects?: boolean;
}

interface Events {
  open: () => void;
  /** Text and binary frames alike come as bytes, of a kind whose `toString` reads them as UTF-8. */
  message: (data: Uint8Array, isBinary: boolean) => void;
  ping: () => void;
  pong: () => void;
  error: (error: Error) => void;
  close: (code: number) => void;
  "unexpected-response": (request: { destroy(): void }, response: { statusCode?: number }) => void;
}

export default class WebSocket {
  static readonly OPEN: 1;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly bufferedAmount: number;
  constructor(address: string, options?: ClientOptions);
  on<Name extends keyof Events>(event: Name, listener: Events[Name]): this;
  send(data: string | Uint8Array): void;
  ping(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
}
