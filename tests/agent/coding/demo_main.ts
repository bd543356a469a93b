/** Starts the demo coding agent alone, for tests that speak ACP to a real process. */
import { runDemo } from "../../../agent/coding/demo.ts";

await runDemo();
