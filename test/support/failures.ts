import { afterEach } from 'vitest';

// A setup file and an import of the same file are two modules, so what they share is kept where both see it.
const holder = globalThis as typeof globalThis & { keystrideTestFailed?: boolean };

/** A setup file of every test file: remembers whether one of its tests has failed, for clean-up to spare the evidence. */
afterEach(({ task }) => {
  if (task.result?.state === 'fail') holder.keystrideTestFailed = true;
});
