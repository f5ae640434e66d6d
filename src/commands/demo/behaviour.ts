import type { StubBehaviour } from './stub.ts';

/** The most documents that a demo lets fail: the job's skip limit is 1,000. */
const mostFailures = 900;

/**
 * A day at the legacy API: 3 % of the documents unknown to it, 1 % refused, 1 % of a format that it no longer
 * supports.
 */
export function withFailures(documents: number, latency: number): StubBehaviour {
  const scale = Math.min(1, mostFailures / (0.05 * documents));
  return {
    latency,
    notFound: 0.03 * scale,
    malformed: 0.01 * scale,
    unsupported: 0.01 * scale,
  };
}

/** The key of made-up document `number`, from 1. */
export function ticketKey(number: number): string {
  return `T-${String(number).padStart(7, '0')}`;
}

/** So many documents of a size that MongoDB does not take in one record, spread over the keys. */
export function withLarge(documents: number, large: number): Pick<StubBehaviour, 'overrides'> {
  const keys = Array.from({ length: Math.min(large, documents) }, (_, index) =>
    ticketKey(Math.ceil((documents * (index + 1)) / (large + 1))),
  );
  return { overrides: Object.fromEntries(keys.map((key) => [key, '18MiB'])) };
}
