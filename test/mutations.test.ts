import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { mutated } from './mutations/mutation.ts';
import { mutations } from './mutations/mutations.ts';

const read = (file: string) => readFileSync(path.join(import.meta.dirname, '..', file), 'utf8');

test.for(mutations)('"$rule" can still be broken, and its test is there', (mutation) => {
  for (const [file, text] of mutated(mutation, read)) expect(text).not.toBe(read(file));
  expect(existsSync(path.join(import.meta.dirname, '..', mutation.test)), mutation.test).toBe(true);
});
