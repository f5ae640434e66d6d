import { setTimeout as delay } from 'node:timers/promises';

/** How long to wait and how often to look, in milliseconds. */
export interface WaitOptions {
  /** @default 60000 */
  timeoutMs?: number;
  /** @default a tenth of the time that has passed, between 50 and 250: a look costs processor time that others wait for */
  everyMs?: number;
  /** For the message when it takes too long. */
  what?: string;
}

/**
 * Asks until the answer is neither undefined, null nor false; a look that throws counts as not yet.
 *
 * @returns the answer
 * @throws after the time, with the last error as its cause
 */
export async function waitFor<Answer>(
  look: () => Promise<Answer> | Answer,
  { timeoutMs = 60_000, everyMs, what = 'what was waited for' }: WaitOptions = {},
): Promise<Exclude<Answer, undefined | null | false>> {
  const begun = Date.now();
  const deadline = begun + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const answer = await look();
      if (answer !== undefined && answer !== null && answer !== false) {
        return answer as Exclude<Answer, undefined | null | false>;
      }
    } catch (error) {
      last = error;
    }
    if (Date.now() >= deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: last });
    await delay(everyMs ?? Math.min(250, Math.max(50, (Date.now() - begun) / 10)));
  }
}
