import { failure } from '../contract/errors.ts';
import type { JobDefinition } from '../contract/job.ts';
import { keyOfShown } from '../contract/parameters.ts';
import { holdsHash, sensitiveParameters } from '../contract/sensitive.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { findOriginal } from '../ledger/redrive-claim.ts';

/** What a run was started with; undefined where Temporal has given it up. */
export type InputOf = (workflowId: string, runId: string) => Promise<unknown>;

/**
 * Parameters as they are shown, with the sensitive values in their places: the last run of the instance was started with
 * them, and its history has them encrypted. Others are given back as they are.
 *
 * @throws JobParametersInvalid when nothing is known of the instance, or its history has gone.
 */
export async function withSensitiveValues(
  { ledger, inputOf }: { readonly ledger: Ledger; readonly inputOf: InputOf },
  job: JobDefinition,
  given: unknown,
): Promise<unknown> {
  if (!holdsHash(job, given)) return given;
  const { instance, workflowId, runId } = await findOriginal(ledger, keyOfShown(job, given));
  const input = await inputOf(workflowId, runId);
  if (typeof input === 'object' && input !== null) {
    const values = Object.entries(input).filter(([name]) => sensitiveParameters(job).has(name));
    return { ...given, ...Object.fromEntries(values) };
  }
  throw failure(
    'JobParametersInvalid',
    `${instance} has sensitive parameters, which the history of its run alone has, and Temporal no longer has that: ` +
      'what needs them cannot be done any more. A longer retention of the namespace keeps them longer.',
  );
}
