import type { Tuning } from './messages.ts';

/** What may be tuned, and within which bounds. Only a rate may be a fraction. */
const bounds: Readonly<Record<keyof Tuning, { least: number; most: number; whole: boolean }>> = {
  chunkSize: { least: 1, most: 100_000, whole: true },
  concurrency: { least: 1, most: 10_000, whole: true },
  partitions: { least: 1, most: 1_000, whole: true },
  rowsPerSecond: { least: 0, most: 1e9, whole: false },
};

/** The figures of a request, without what says who sends it and why. */
export function figuresOf(request: unknown): unknown {
  if (typeof request !== 'object' || request === null) return request;
  return Object.fromEntries(Object.entries(request).filter(([name]) => name !== 'by' && name !== 'reason'));
}

/** What is wrong with a tuning that somebody sent, in words; undefined when nothing is. */
export function wrongTuning(tuning: unknown): string | undefined {
  const names = Object.keys(bounds).join(', ');
  if (typeof tuning !== 'object' || tuning === null || Object.keys(tuning).length === 0) {
    return `it takes an object with one or more of ${names}`;
  }
  for (const [name, value] of Object.entries(tuning)) {
    if (!(name in bounds)) return `${name} is not one of ${names}`;
    const { least, most, whole } = bounds[name as keyof Tuning];
    const fits =
      typeof value === 'number' && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (!fits) return `${name} must be a ${whole ? 'whole ' : ''}number from ${least} to ${most}`;
  }
  return undefined;
}
