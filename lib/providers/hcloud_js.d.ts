/** The part of `hcloud-js` that is used; the package has no types. What comes from the network stays `unknown`. */
interface RequestConfig {
  signal?: AbortSignal;
  maxRedirects?: number;
  maxContentLength?: number;
}

interface Interceptors<T> {
  use(onDone: ((value: T) => T) | null, onError?: (error: unknown) => unknown): number;
  eject(id: number): void;
}

interface Page {
  nextPage: number | null;
  totalEntries: number;
}

interface ServerBuilder {
  serverType(name: string): ServerBuilder;
  location(name: string): ServerBuilder;
  image(name: string): ServerBuilder;
  userData(text: string): ServerBuilder;
  labels(labels: Record<string, string>): ServerBuilder;
  create(): Promise<{ server: unknown }>;
}

export interface HcloudClient {
  axios: {
    interceptors: { request: Interceptors<RequestConfig>; response: Interceptors<{ data: unknown }> };
  };
  servers: {
    list(params: Record<string, string | number>): Promise<Page & { servers: unknown[] }>;
    get(id: number): Promise<unknown>;
    build(name: string): ServerBuilder;
    delete(id: number): Promise<unknown>;
  };
  serverTypes: { list(params: Record<string, string | number>): Promise<Page & { serverTypes: unknown[] }> };
}
