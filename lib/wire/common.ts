/** Building blocks of the wire schemas: ids, times, trimmed text, pages. */
import { z } from "zod";
import { BRANCH_MAX, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX } from "./limits.ts";

/** In whatever case it came, in lower case from here on: ids are compared and are parts of keys. */
export const uuid: z.ZodString = z.string().toLowerCase().regex(
  /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/,
  "must be a UUID",
);

/** ISO 8601 with a zone, as `Date.toISOString` writes it or with an offset. */
export const timestamp = z.iso.datetime({ offset: true, message: "must be an ISO 8601 time with a zone" });

/**
 * Text of 1 to `max` UTF-16 units after trimming: what a page counts and what the store keeps. The schema's own `max`
 * counts code points, which are up to two units each.
 */
export function text(max: number): z.ZodString {
  const message = `must be at most ${max} characters`;
  const when = ({ issues }: { issues: unknown[] }) => issues.length === 0;
  return z.string().trim().min(1, "must not be empty").max(max, message)
    .refine((value) => value.length <= max, { message, when })
    // Neither can be handed to a program or answered as valid JSON.
    .refine((value) => !value.includes("\0") && value.isWellFormed(), {
      message: "must not hold NUL characters or halves of characters",
      when,
    });
}

export const vmSize = z.enum(["small", "medium", "large"]);
export type VmSize = z.infer<typeof vmSize>;

/** Git's own rules for a branch name, and nothing that a command line could take for an option. */
export const branchName = text(BRANCH_MAX).regex(
  // deno-lint-ignore no-control-regex
  /^(?![-/.])(?!.*(?:\.\.|\/\/|\/\.|@\{|\.lock(?:\/|$)))[^\x00-\x20\x7f~^:?*[\\]+(?<![/.])$/,
  "must be a valid Git branch name",
);

export const finite = z.number().finite();
export const money = finite.min(0).max(1_000_000);
export const count = z.int().min(0);

export const tokens = z.object({ input: count.optional(), output: count.optional(), total: count.optional() });
export type Tokens = z.infer<typeof tokens>;

/** `limit` and `cursor` of every list. The cursor is opaque to the caller. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(PAGE_LIMIT_DEFAULT),
  cursor: z.string().max(600).optional(),
});

export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

export const none = z.object({});
