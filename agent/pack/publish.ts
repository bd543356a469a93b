/** Puts an executable that was just made in its place and tells what a person needs to pass it on. */

/** Writes `bytes` to `output`, also while that is running, and prints path, size and SHA-256. */
export async function publish(output: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  await Deno.mkdir(output.replace(/[^/]*$/, "") || ".", { recursive: true });
  // A running executable cannot be written over, but another can be moved into its place.
  await Deno.writeFile(`${output}.new`, bytes, { mode: 0o755 });
  await Deno.rename(`${output}.new`, output);
  const size = `${(bytes.length / 1024 / 1024).toFixed(1)} MiB`;
  await print(`${output}  ${size}  SHA-256 ${await sha256(bytes)}\n`);
}

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}
