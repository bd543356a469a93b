/** A project: its sessions, the selected one or the board, and the task form. One island fills it. */
import ProjectApp from "../../islands/ProjectApp.tsx";
import type { View } from "../../lib/ui/route.ts";
import type { Options, User } from "../../lib/wire/account.ts";
import type { MessagePage } from "../../lib/wire/message.ts";
import type { Project } from "../../lib/wire/project.ts";
import type { Session } from "../../lib/wire/session.ts";
import type { Task } from "../../lib/wire/task.ts";
import { Layout } from "../_layout.tsx";

export interface ProjectPageProps {
  me: User;
  project: Project;
  sessions: Session[];
  /** The cursor of the list of sessions when there are older ones. */
  sessionsNextCursor?: string | null;
  tasks: Task[];
  options: Options;
  selected: { session: Session; page: MessagePage } | null;
  /** The feed's cursor, read before everything else that is shown. */
  cursor: string;
  view: View;
  /** Path of the live socket. */
  connectionUrl: string;
  now?: number;
}

export function ProjectPage(props: ProjectPageProps) {
  const { me, project, options, sessions, sessionsNextCursor = null, tasks, selected } = props;
  const { cursor, view, connectionUrl, now = Date.now() } = props;
  return (
    <Layout me={me} current="projects" fill>
      <ProjectApp
        projectId={project.id}
        userId={me.id}
        project={project}
        options={options}
        sessions={sessions}
        sessionsNextCursor={sessionsNextCursor}
        tasks={tasks}
        selected={selected}
        cursor={cursor}
        view={view}
        connectionUrl={connectionUrl}
        now={now}
      />
    </Layout>
  );
}
