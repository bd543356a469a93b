/** A person's projects, and the form for a new one. */
import ProjectForm from "../../islands/ProjectForm.tsx";
import type { Options, User } from "../../lib/wire/account.ts";
import type { Project } from "../../lib/wire/project.ts";
import { Layout } from "../_layout.tsx";

export interface ProjectsPageProps {
  me: User;
  projects: Project[];
  options: Options;
}

export function ProjectsPage({ me, projects, options }: ProjectsPageProps) {
  return (
    <Layout me={me} current="projects">
      <main class="page">
        <h1>Projects</h1>
        {projects.length === 0
          ? (
            <p class="lead">
              A project is a repository that coding agents work on. Create the first one to run a task in it.
            </p>
          )
          : (
            <ul class="project-list">
              {projects.map((project) => (
                <li key={project.id}>
                  <a class="project-link" href={`/projects/${project.id}`}>
                    <strong>{project.name}</strong>
                    <span class="muted clip">{project.repositoryUrl}</span>
                  </a>
                </li>
              ))}
            </ul>
          )}
        <section class="panel" aria-labelledby="new-project">
          <h2 id="new-project">New project</h2>
          <ProjectForm localPaths={options.provider === "local"} />
        </section>
      </main>
    </Layout>
  );
}
