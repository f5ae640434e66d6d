import { ProblemError } from '../contract/told-error.ts';

/** The name of a part of a development stack; the stubs have names of their own. */
export type PartName = 'temporal' | 'postgres' | 'mongodb';

/** A running part, ours or given by the environment. */
export interface Part {
  /** Where it answers, credentials included. */
  readonly url: string;
  /** How it came to be: `given`, or the program that we run. */
  readonly origin: string;
  /** Its process; undefined while it is killed, and for a given part. */
  readonly pid: number | undefined;
  /**
   * Sends a signal; resolves when the process is gone, or at once for SIGSTOP and SIGCONT.
   * @param signal default SIGKILL
   * @throws PartError for a given part, which is not ours to kill
   */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /**
   * Ends the process if it still runs and starts it again: same port, same data.
   * @throws PartError when it does not come up, or is a given part
   */
  restart(): Promise<void>;
  /** Ends the process in an orderly way, by force when that takes too long. Does nothing to a given part. */
  stop(): Promise<void>;
}

/** A part that cannot be had or does not answer: what, where (no credentials), what to do. */
export class PartError extends ProblemError {
  override readonly name = 'PartError';
}

/** A part that the environment names: used as it is, never started or stopped by us. */
export function givenPart(url: string, shown: string): Part {
  const refuse = (verb: string): Promise<never> =>
    Promise.reject(
      new PartError({
        what: `a part that the environment names is not ours to ${verb}`,
        where: shown,
        todo: 'Use the tools of whoever runs it.',
      }),
    );
  return {
    url,
    origin: 'given',
    pid: undefined,
    kill: () => refuse('kill'),
    restart: () => refuse('restart'),
    stop: () => Promise.resolve(),
  };
}
