import { encodeCursor, isCursor, type KeyRange, sameCursor } from '../contract/cursor.ts';
import type { ReadPlan } from '../contract/reader.ts';
import { isCount, kindOf, UnusableAnswer } from '../contract/unusable-answer.ts';

/**
 * Requires of what a reader has planned that its ranges meet: what lies between two that do not is read by nobody, and
 * what lies in two is read twice.
 *
 * @returns the plan
 * @throws UnusableAnswer
 */
export function requirePlan(plan: ReadPlan): ReadPlan {
  const given: unknown = plan;
  if (typeof given !== 'object' || given === null) throw broken(`is ${kindOf(given)}`);
  const { ranges, expected, counted, apart } = given as Partial<Record<keyof ReadPlan, unknown>>;
  if (!Array.isArray(ranges)) throw broken(`has ${kindOf(ranges)} for the list of ranges`);
  if (expected !== null && !isCount(expected))
    throw broken(`has ${kindOf(expected)} for \`expected\`: a whole number, or null where nobody knows`);
  for (const [name, value] of Object.entries({ counted, apart }))
    if (value !== undefined && typeof value !== 'boolean')
      throw broken(`has ${kindOf(value)} for \`${name}\``);
  for (const range of ranges) requireRange(range);
  requireOnce(ranges as KeyRange[]);
  if (apart !== true) requireMeeting(ranges as KeyRange[]);
  return plan;
}

function requireRange(range: unknown): void {
  if (typeof range !== 'object' || range === null) throw broken(`has ${kindOf(range)} for a range`);
  const { lower, upper } = range as Partial<Record<keyof KeyRange, unknown>>;
  for (const end of [lower, upper])
    if (end !== null && !isCursor(end))
      throw broken(
        `has ${kindOf(end)} for the end of a range: a list of texts (cursorOf), or null where it is open`,
      );
}

function requireMeeting(ranges: readonly KeyRange[]): void {
  for (const [index, { lower }] of ranges.entries()) {
    const before = ranges[index - 1];
    if (before ? sameCursor(before.upper, lower) : lower === null) continue;
    throw broken(
      (before
        ? `leaves a gap between range ${index} and range ${index + 1}, or has them overlap: each begins where the one before ends`
        : 'leaves out what lies before its first range: `lower` of that is null') +
        '. Where ranges are apart on purpose, say so: `apart: true`',
    );
  }
}

/** Ranges that come back to an end are out of order. */
function requireOnce(ranges: readonly KeyRange[]): void {
  for (const end of ['lower', 'upper'] as const) {
    const ends = new Set(ranges.map((range) => encodeCursor(range[end])));
    if (ends.size < ranges.length)
      throw broken(`has two ranges with the same \`${end}\`: their items would be read twice`);
  }
}

function broken(what: string): UnusableAnswer {
  return new UnusableAnswer(`the plan of the reader ${what}. Nothing has been read`);
}
