/**
 * The browser of the tests: finds the Chromium that this machine has and starts it without a window. Everything
 * the suite does in a browser goes through `launchBrowser`, so that the search and the flags are in one place.
 */
import { type Browser, chromium } from "playwright";

/** Where distributions and people have it, the first that exists wins. */
const USUAL_PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** The sandbox needs rights that containers lack, and nothing here opens a foreign page. The rest keeps it from the network. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export const NO_BROWSER = "No browser was found for the browser tests. Install Chromium (on Debian: " +
  "`apt-get install chromium fonts-liberation`, elsewhere: `npx playwright install chromium`), or set " +
  "HEARTH_CHROMIUM to the path of a Chromium or Chrome.";

/** A running browser; the caller closes it (`await using` does). Throws a sentence that says what to install. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = findBrowser();
  if (!executablePath) throw new Error(NO_BROWSER);
  return await chromium.launch({ executablePath, args: FLAGS });
}

/** The path of a browser, or undefined. Throws when HEARTH_CHROMIUM names a file that is not there. */
export function findBrowser(): string | undefined {
  const wanted = Deno.env.get("HEARTH_CHROMIUM");
  if (wanted && !isFile(wanted)) throw new Error(`HEARTH_CHROMIUM is set to ${wanted}, which is not a file.`);
  return wanted || [...USUAL_PLACES, chromium.executablePath()].find(isFile);
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
