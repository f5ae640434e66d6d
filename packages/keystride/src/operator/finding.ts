import { oneLine } from '../contract/inert.ts';
import { ToldError } from '../contract/told-error.ts';
import { CommandError } from './command-error.ts';
import { explain, reasonOf } from './explain.ts';

/** `ok`; `warn`: it works, and will not always, or somebody waits; `bad`: work stands still, or is not done rightly. */
export type Mark = 'ok' | 'warn' | 'bad';

/** What one look has found, of the doctor or of the console. */
export interface Finding {
  /** What was looked at, in a word or two: `clock`, `search attributes`. */
  readonly check: string;
  readonly mark: Mark;
  /** What is so, without credentials and without anything of a row. */
  readonly what: string;
  /** What to do about it; undefined where there is nothing to do. */
  readonly todo?: string;
}

/** What is as it should be. */
export function ok(check: string, what: string): Finding {
  return { check, mark: 'ok', what };
}

/** What works, and will not always. */
export function warn(check: string, what: string, todo: string): Finding {
  return { check, mark: 'warn', what, todo };
}

/** What keeps jobs from running, or from running rightly. */
export function bad(check: string, what: string, todo: string): Finding {
  return { check, mark: 'bad', what, todo };
}

/** What somebody threw, as a command would explain it. */
export function failed(check: string, error: unknown, mark: 'warn' | 'bad' = 'bad'): Finding {
  const explained = explain(error);
  if (explained instanceof CommandError) {
    const { what, where, todo } = explained;
    return { check, mark, what: oneLine(where === undefined ? what : `${what} (${where})`), todo };
  }
  const todo = error instanceof ToldError ? 'Do what the message says.' : 'Try again with --debug.';
  return { check, mark, what: reasonOf(error), todo };
}

/** Looks, and tells what kept it from looking: one thing that cannot be seen hides no other. */
export async function looked(
  check: string,
  look: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await look()].flat();
  } catch (error) {
    return [failed(check, error, 'warn')];
  }
}
