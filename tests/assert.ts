/**
 * `@std/assert` as the tests use it, over `node:assert/strict`: same names, same order of arguments. One line in
 * `deno.json` points here and can point to the library instead.
 */
import nodeAssert from "node:assert/strict";

export class AssertionError extends Error {
  override name = "AssertionError";
}

export function assert(value: unknown, message = "expected a truthy value"): asserts value {
  if (!value) throw new AssertionError(message);
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, message);
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.notDeepStrictEqual(actual, expected, message);
}

export function assertStrictEquals<T>(actual: unknown, expected: T, message?: string): asserts actual is T {
  nodeAssert.strictEqual(actual, expected, message);
}

export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  assert(actual !== undefined && actual !== null, message ?? `expected a value, got ${actual}`);
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  nodeAssert.match(actual, expected, message);
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  assert(
    actual.includes(expected),
    message ?? `expected ${JSON.stringify(actual)} to hold ${JSON.stringify(expected)}`,
  );
}

export function assertArrayIncludes<T>(actual: ArrayLike<T>, expected: ArrayLike<T>, message?: string): void {
  const has = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !has.some((other) => isEqual(other, item)));
  assert(missing.length === 0, message ?? `missing: ${Deno.inspect(missing)} in ${Deno.inspect(has)}`);
}

export function assertObjectMatch(actual: object, expected: object, message?: string): void {
  nodeAssert.partialDeepStrictEqual(actual, expected, message);
}

export function assertThrows(fn: () => unknown, ErrorClass: new (...args: never[]) => Error = Error, text = ""): Error {
  try {
    fn();
  } catch (error) {
    return checkError(error, ErrorClass, text);
  }
  throw new AssertionError("expected the function to throw");
}

export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  ErrorClass: new (...args: never[]) => Error = Error,
  text = "",
): Promise<Error> {
  try {
    await fn();
  } catch (error) {
    return checkError(error, ErrorClass, text);
  }
  throw new AssertionError("expected the promise to be rejected");
}

export function fail(message: string): never {
  throw new AssertionError(message);
}

function checkError(error: unknown, ErrorClass: new (...args: never[]) => Error, text: string): Error {
  if (!(error instanceof ErrorClass)) {
    throw new AssertionError(`expected ${ErrorClass.name}, got ${Deno.inspect(error)}`);
  }
  assertStringIncludes(error.message, text);
  return error;
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    nodeAssert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
