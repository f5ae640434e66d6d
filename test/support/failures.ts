import { afterEach, beforeEach } from 'vitest';
import { endStarted, forgetStarted } from './started.ts';

// A setup file and an import of the same file are two modules, so what they share is kept where both see it.
const holder = globalThis as typeof globalThis & { keystrideTestFailed?: boolean };

/** A setup file of every test file. */
beforeEach(forgetStarted);

/** Remembers whether a test has failed, for clean-up to spare the evidence, and ends what it has left behind. */
afterEach(async ({ task }) => {
  if (task.result?.state !== 'fail') return;
  holder.keystrideTestFailed = true;
  await endStarted();
});
