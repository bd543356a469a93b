/**
 * What the tests of the whole program share: a composed edge whose local provider starts real agents, a project with a
 * repository of its own, and a live socket on it.
 */
import { assertEquals } from "@std/assert";
import type { Task } from "../../lib/wire/task.ts";
import { startTestEdge, type TestEdge } from "../edge.ts";
import { LiveClient } from "../live_client.ts";
import { TestRepository } from "../repository.ts";

export interface Scene extends AsyncDisposable {
  test: TestEdge;
  live: LiveClient;
  repository: TestRepository;
  projectId: string;
}

export interface SceneOptions {
  /** Settings of the edge. */
  env?: Record<string, string>;
  /** What the project is made with besides its repository, which can also be another one. */
  project?: Record<string, unknown>;
}

export interface Submitted {
  taskId: string;
  sessionId: string;
}

export async function openScene({ env, project = {} }: SceneOptions = {}): Promise<Scene> {
  const repository = await TestRepository.make();
  const test = await startTestEdge({ agents: true, env });
  const { id: projectId } = await test.addProject({ repositoryUrl: repository.path, ...project });
  const live = await LiveClient.open(test, projectId);
  return {
    ...{ test, live, repository, projectId },
    async [Symbol.asyncDispose]() {
      await live[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
      await repository[Symbol.asyncDispose]();
    },
  };
}

/** Submits a task to the scene's project. */
export async function submit({ test, projectId }: Scene, description: string): Promise<Submitted> {
  const answer = await test.admin.call(`POST /api/projects/${projectId}/tasks/submit`, { description });
  assertEquals(answer.status, 202, JSON.stringify(answer.body));
  return answer.body;
}

/** Submits a task and gives it as it ended, however that was. */
export async function runToEnd(scene: Scene, description: string): Promise<Task> {
  return await scene.live.task((await submit(scene, description)).taskId, "completed", "failed", "cancelled");
}
