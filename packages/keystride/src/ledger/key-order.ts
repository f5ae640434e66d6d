import pg from 'pg';
import { failure } from '../contract/errors.ts';
import type { Reader } from '../contract/reader.ts';
import type { TakenCheckpoint } from './checkpoint.ts';

/**
 * Refuses to read on in a step whose keys are in another order than when it opened. Its ranges and its cursor are places in
 * the order that was: a key that is not done may lie before the cursor now, and nobody would come back for it.
 *
 * @throws KeyOrderChanged
 */
export async function refuseOtherOrder(
  reader: Pick<Reader<unknown>, 'order'>,
  { order: then, lease: { claim, step } }: Pick<TakenCheckpoint, 'order' | 'lease'>,
): Promise<void> {
  if (then === null) return;
  const now = await reader.order?.();
  if (now === undefined || now === then) return;
  throw failure(
    'KeyOrderChanged',
    `${claim.instance} step ${step}: its keys were in the order of ${then} when it opened, and are in that of ${now} now. ` +
      'What is not done may lie before what is, so nothing is read. Bring the earlier order back (the type and collation of ' +
      'the column, a server whose library has that version) and start it again; or start the work under another ' +
      'identifying parameter. If these keys are in one order under both, say so: ' +
      `UPDATE keystride.step SET key_order = NULL WHERE instance_key = ${pg.escapeLiteral(claim.instance)} AND step = ${pg.escapeLiteral(step)}`,
  );
}
