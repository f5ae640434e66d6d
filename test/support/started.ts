// A setup file and what a test imports are two module graphs, so what they share is kept where both see it.
const holder = globalThis as typeof globalThis & { keystrideTestStarted?: (() => Promise<unknown>)[] };

/**
 * Notes what the present test has started: when the test fails it is ended, and disturbs none that follows. What is
 * started before the first test belongs to all of them.
 */
export function startedByTest(end: () => Promise<unknown>): void {
  holder.keystrideTestStarted?.push(end);
}

/** Begins the list of a test. */
export function forgetStarted(): void {
  holder.keystrideTestStarted = [];
}

/** Ends what the present test has started, the last first. */
export async function endStarted(): Promise<void> {
  const started = holder.keystrideTestStarted ?? [];
  await Promise.allSettled(started.toReversed().map((end) => end()));
}
