import { z } from 'zod';

/** A share, from 0 to 1. */
export const share = z.number().min(0, 'must be a share from 0 to 1').max(1, 'must be a share from 0 to 1');

/** At most ten minutes. */
export const milliseconds = z.number().min(0).max(600_000);

/** Seconds that a 429 or 503 asks for, alternately as a number and as an HTTP date. */
export const retryAfterSeconds = z.int().min(0).max(86_400);

/**
 * A behaviour with some fields changed.
 * @param change an object with some of the fields of the schema, of unknown origin
 * @throws Error naming each field that is unknown or malformed
 */
export function withChange<Schema extends z.ZodObject>(
  schema: Schema,
  behaviour: z.output<Schema>,
  change: unknown,
): z.output<Schema> {
  const parsed = schema.partial().safeParse(change);
  if (!parsed.success) throw new Error(parsed.error.issues.map(describeIssue).join('; '));
  const given = Object.entries(parsed.data).filter(([, value]) => value !== undefined);
  return { ...behaviour, ...Object.fromEntries(given) };
}

function describeIssue(issue: z.core.$ZodIssue): string {
  return issue.path.length > 0 ? `${issue.path.join('.')}: ${issue.message}` : issue.message;
}

/** @throws Error when shares of the same thing add up to more than all of it */
export function refuseExcess(what: string, shares: readonly number[]): void {
  const sum = shares.reduce((before, one) => before + one, 0);
  // A little room for 0.1 + 0.2.
  if (sum > 1 + 1e-9) throw new Error(`The shares ${what} add up to ${sum}: at most 1 is possible`);
}
