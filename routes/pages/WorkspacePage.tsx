/** A workspace: its conversation, its changes and a terminal. One island fills it. */
import WorkspaceApp, { type WorkspaceAppProps } from "../../islands/WorkspaceApp.tsx";
import type { User } from "../../lib/wire/account.ts";
import { Layout } from "../_layout.tsx";

export interface WorkspacePageProps extends WorkspaceAppProps {
  me: User;
}

export function WorkspacePage({ me, ...props }: WorkspacePageProps) {
  return (
    <Layout me={me} current="projects" fill>
      <WorkspaceApp {...props} />
    </Layout>
  );
}
