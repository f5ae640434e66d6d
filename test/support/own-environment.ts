import { afterAll } from 'vitest';

/** Test files share their process: what one sets in its environment, the next one does not have. */
const before = { ...process.env };

afterAll(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
