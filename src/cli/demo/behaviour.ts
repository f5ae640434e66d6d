import type { StubBehaviour } from './stub.ts';

/** How many documents get a size that MongoDB does not take in one record. */
const largeDocuments = 3;

/** The most documents that a demo lets fail: the job's skip limit is 1,000. */
const mostFailures = 900;

/**
 * A day at the legacy API: 3 % of the documents unknown to it, 1 % refused, 1 % of a format that it no longer
 * supports, and a few larger than MongoDB's 16 MiB.
 */
export function withFailures(documents: number, latency: number): StubBehaviour {
  const scale = Math.min(1, mostFailures / (0.05 * documents));
  return {
    latency,
    notFound: 0.03 * scale,
    malformed: 0.01 * scale,
    unsupported: 0.01 * scale,
    overrides: Object.fromEntries(largeKeys(documents).map((key) => [key, '18MiB'])),
  };
}

/** The key of made-up document `number`, from 1. */
export function ticketKey(number: number): string {
  return `T-${String(number).padStart(7, '0')}`;
}

/** Spread over the keys; in a demo of a handful of documents none. */
function largeKeys(documents: number): string[] {
  const wanted = Math.min(largeDocuments, Math.floor(documents / 10));
  return Array.from({ length: wanted }, (_, index) =>
    ticketKey(Math.ceil((documents * (index + 1)) / (wanted + 1))),
  );
}
