/**
 * The folder that a coding agent works in, with the extensions that lie in it: read anew for every session, linked to
 * where coding agents look for them, and the links taken back in the end.
 */
import type { Logger } from "../../lib/log.ts";
import type { OpenOptions } from "./acp.ts";
import { ExtensionLinks } from "./extension_links.ts";
import { type Extensions, loadExtensions, usableServers } from "./extensions.ts";

export interface ProjectFolderOptions {
  /** Where the programs of tool servers are looked for. */
  searchPath: string;
  /** It belongs to a user of its own, who may be hostile: nothing is written to it, and no link in it is followed. */
  isForeign?: boolean;
  log: Logger;
}

/** Where a session is opened, and with which tool servers. */
export type Place = Required<Pick<OpenOptions, "cwd" | "mcpServers">>;

export class ProjectFolder implements AsyncDisposable {
  readonly path: string;
  readonly #options: ProjectFolderOptions;
  readonly #links: ExtensionLinks;

  constructor(path: string, options: ProjectFolderOptions) {
    this.path = path;
    this.#options = options;
    this.#links = new ExtensionLinks(path, options.log);
  }

  /** What lies there now; skills and commands are linked when this resolves, unless the folder is foreign. */
  async load(): Promise<{ extensions: Extensions; place: Place }> {
    const { searchPath, isForeign = false, log } = this.#options;
    const extensions = await loadExtensions(this.path, { path: searchPath, isForeign, log });
    if (!isForeign) await this.#links.update(extensions);
    return { extensions, place: { cwd: this.path, mcpServers: usableServers(extensions) } };
  }

  /** Takes the links back. A later `load` makes them again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#links[Symbol.asyncDispose]();
  }
}
