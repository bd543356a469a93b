/** What stands around every page of a signed-in person: the product's name, the ways to go, and the way out. */
import type { ComponentChildren } from "preact";
import type { User } from "../lib/wire/account.ts";

export interface LayoutProps {
  me: User | null;
  current?: "projects" | "nodes" | "credentials";
  /** The page fills the window and scrolls inside. */
  fill?: boolean;
  children: ComponentChildren;
}

export function Layout({ me, current, fill = false, children }: LayoutProps) {
  return (
    <div class={fill ? "shell fill" : "shell"}>
      <header class="top">
        <a class="brand" href="/projects">
          <svg class="brand-mark" viewBox="0 0 16 16" width="18" height="18" aria-hidden="true">
            <path d="M8 1.2c.5 2.6 4.8 4.3 4.8 8.3A4.7 4.7 0 0 1 8 14.6a4.7 4.7 0 0 1-4.8-5.1c0-1.9 1-3.1 2-4 .1 1.2.5 1.9 1.2 2.3C6.2 5.6 6.6 3.2 8 1.2z" />
          </svg>
          Hearth
        </a>
        {me
          ? (
            <nav class="top-nav" aria-label="Main">
              <a href="/projects" aria-current={current === "projects" ? "page" : undefined}>Projects</a>
              <a href="/nodes" aria-current={current === "nodes" ? "page" : undefined}>Nodes</a>
              <a href="/credentials" aria-current={current === "credentials" ? "page" : undefined}>Credentials</a>
              <form class="sign-out" method="post" action="/signout">
                <button type="submit" class="top-button" title={`Signed in as ${me.displayName}`}>Sign out</button>
              </form>
            </nav>
          )
          : null}
      </header>
      {children}
    </div>
  );
}
