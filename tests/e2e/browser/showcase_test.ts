/** A project as it looks after a day of work, run for real: the pictures that the README shows are taken here. */
import { useBrowser } from "../../islands/browser.ts";
import { endOfRun, openScene, picture, show, statusIs } from "./scene.ts";

useBrowser();

const PAST = [
  [
    "Explain the retry rules in the README",
    "write README.md: # Lighthouse\nsay The README now says when a call is retried.",
  ],
  ["Speed up the import of old logs", "run seq 1 40\nfail The import stopped: line 31 has no date."],
  ["Rename the lamp module", "write lamp.ts: export const lamp = 1;\nsay Renamed, and every import follows."],
];

const NOW = `plan Read the failing test; Find the cause; Mend it; Run the tests
think The test fails only at midnight, so it must be the date.
run printf 'tide_test.ts ... FAILED (expected 2030-01-02, got 2030-01-01)\\n'
say The test compares local dates, but the table is in UTC. I will read both in UTC.
write src/tide.ts: export const dayOf = (at: Date) => at.toISOString().slice(0, 10);
run printf 'ok | 14 passed | 0 failed\\n'
say **Mended.** The tide table and its test now agree on the day in every time zone; all 14 tests pass.
wait 60000`;

Deno.test("a project with a live session, finished ones, a failed one and a backlog", async () => {
  await using scene = await openScene();
  const { page, edge, projectId } = scene;
  const tasks = `/api/projects/${projectId}/tasks` as const;
  for (const [title, description] of PAST) {
    await edge.call(`POST ${tasks}/submit`, { title, description });
    await endOfRun(scene);
  }
  await edge.call(`POST ${tasks}`, { title: "Count ships by night", description: "say Counting.", priority: 5 });
  await edge.call(`POST ${tasks}`, { title: "Fog horn for the phone page", description: "say Tooting." });
  const live = await edge.call(`POST ${tasks}/submit`, { title: "Mend the tide table test", description: NOW });
  await show(page, `${scene.projectUrl}/chat/${live.sessionId}`);
  await page.locator(".message-assistant", { hasText: "agree on the day" }).waitFor();
  await statusIs(page, "in_progress");
  // Messages from before the page was there come with their batch.
  await page.waitForFunction(() => document.querySelectorAll(".transcript .message").length === 8);
  await picture(page, "showcase");
  await page.getByRole("link", { name: "Board" }).click();
  await page.locator('[data-status="failed"] .card').waitFor();
  await picture(page, "showcase-board");
});
