import type { Claim } from '../contract/claim.ts';
import type { CloseJobRequest } from '../contract/activities.ts';
import { readRunTimes } from '../ledger/run-times.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isTracing, placeOf, tellSpan } from '../telemetry/traces.ts';

/**
 * Tells the spans of an execution that has ended, and of its steps: those of its pages have long been told. They are told
 * at the end, since no process lasts as long as they do. What goes wrong with it is nobody's fault and is left.
 */
export async function tellRun(
  ledger: Ledger,
  claim: Claim,
  outcome: CloseJobRequest['outcome'],
): Promise<void> {
  if (!isTracing()) return;
  const times = await readRunTimes(ledger, claim).catch(() => undefined);
  if (!times) return;
  const { job, instance } = claim;
  const parent = placeOf(claim);
  const { from, to, steps } = times;
  const failed = outcome === 'failed';
  tellSpan({
    name: 'run',
    place: parent,
    parent: undefined,
    attributes: { job, instance },
    from,
    to,
    failed,
  });
  for (const { step, completed, ...within } of steps)
    tellSpan({
      ...{ name: 'step', place: placeOf(claim, step), parent, attributes: { job, instance, step } },
      ...{ ...within, failed: failed && !completed },
    });
}
