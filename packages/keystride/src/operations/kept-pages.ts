import type { Logger } from '@temporalio/common';
import type { VerificationRequest, VerificationState } from '../contract/step-activities.ts';
import { failure } from '../contract/errors.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { isKept, walMark } from '../ledger/wal-mark.ts';

const setBack =
  'a standby has taken the place of the database, or a backup that of its data: everything is compared again';

/**
 * Compares a page of a verification. What the pages before have compared, or repaired, counts only while the database is
 * the one they looked at: where it was set back since, the verification begins anew.
 *
 * @throws LedgerBehind when that happens while the page is compared: then it is tried again.
 */
export async function comparedAndKept(
  ledger: Ledger,
  request: VerificationRequest,
  log: Pick<Logger, 'warn'>,
  compare: (request: VerificationRequest) => Promise<VerificationState>,
): Promise<VerificationState> {
  const begun = await walMark(ledger);
  const { mark } = request.state ?? {};
  const kept = mark === undefined || isKept(mark, begun);
  if (!kept) log.warn(setBack, { instance: request.claim.instance });
  const state = await compare(kept ? request : { ...request, state: null });
  const ended = await walMark(ledger);
  if (!isKept(begun, ended)) throw failure('LedgerBehind', setBack, { retryable: true });
  return { ...state, mark: ended };
}
