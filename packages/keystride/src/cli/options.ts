import { InvalidArgumentError, Option } from 'commander';

/** The option that every command has. */
export interface OutputOptions {
  output: 'text' | 'json';
}

/** `-o, --output text|json`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print the result')
    .choices(['text', 'json'])
    .default('text');
}

/** A parser for options that want a whole number, both ends included. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw new InvalidArgumentError(`A whole number ${range} is wanted.`);
  };
}

const spans: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A parser for options that want a span of time, such as `90s`, `10m`, `12h` or `7d`; in milliseconds. */
export function timeSpan(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const milliseconds = Number(digits) * (spans[unit] ?? Number.NaN);
  if (milliseconds > 0) return milliseconds;
  throw new InvalidArgumentError('A span of time is wanted, such as 90s, 10m, 12h or 7d.');
}

/** A parser for an id that somebody chooses, and that commands and hints are to name. */
export function chosenId(text: string): string {
  if (/^[^-\s]/u.test(text)) return text;
  throw new InvalidArgumentError('An id is wanted that begins with neither a dash nor a blank.');
}

/** A parser for options that may be given several times. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
