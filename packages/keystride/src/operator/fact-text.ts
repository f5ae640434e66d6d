import { parameterToText } from '../contract/parameters.ts';

/** A fact as people read it: `chunkSize 20, concurrency 60` for one that has parts. */
export function factText(fact: unknown): string {
  if (typeof fact !== 'object' || fact === null || Array.isArray(fact)) return parameterToText(fact);
  const parts = Object.entries(fact).map(([name, value]) => `${name} ${parameterToText(value)}`);
  return parts.join(', ') || 'none';
}
