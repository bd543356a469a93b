/** What can be set about a project. */
import SettingsForm from "../../islands/SettingsForm.tsx";
import type { Options, User } from "../../lib/wire/account.ts";
import type { Member, Project } from "../../lib/wire/project.ts";
import { Layout } from "../_layout.tsx";

export interface ProjectSettingsPageProps {
  me: User;
  project: Project;
  members: Member[];
  options: Options;
}

export function ProjectSettingsPage({ me, project, members, options }: ProjectSettingsPageProps) {
  return (
    <Layout me={me} current="projects">
      <main class="page">
        <p class="crumbs">
          <a class="link" href={`/projects/${project.id}`}>{project.name}</a>
        </p>
        <h1>Settings</h1>
        <SettingsForm me={me} project={project} members={members} options={options} />
      </main>
    </Layout>
  );
}
