import { failure } from '../contract/errors.ts';
import { keystride, shellWord } from '../contract/shell.ts';
import type { WriteToken } from '../contract/write-attempt.ts';
import { enterChange, type RunStart } from './audit.ts';
import { ledgerSql } from './schema.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { holdInstanceAtRest } from './claim.ts';
import { nextFence } from './fence.ts';
import { idOfLedger, readLedger } from './hold-claim.ts';
import type { Ledger } from './ledger.ts';

/**
 * Makes this the only repair that may write for an instance at rest. A page attempt that is still alive though its
 * execution has ended commits nothing from here on, nor does an earlier repair: what the repair writes stays. It is
 * entered in the audit.
 *
 * @throws RepairRefused while the instance runs, and for one that has never run.
 */
export async function claimRepair(ledger: Ledger, instance: string, start?: RunStart): Promise<WriteToken> {
  return ledger.transaction(async (transaction) => {
    await transaction.run(
      ledgerSql
        .selectFrom('keystride.instance')
        .select('status')
        .where('instance_key', '=', instance)
        .forUpdate(),
    );
    const epoch = await holdInstanceAtRest(transaction, instance);
    await transaction.run(
      ledgerSql
        .updateTable('keystride.checkpoint')
        .set({ holder: null })
        .where('instance_key', '=', instance)
        .where('holder', 'is not', null),
    );
    // Each page of the repair comes here: it is one entry all the same.
    if (start) await enterChange(transaction, { ...start, action: 'verify repair', instance });
    const fence = await nextFence(transaction);
    await transaction.run(
      ledgerSql
        .updateTable('keystride.instance')
        .set({ repair_fence: fence })
        .where('instance_key', '=', instance),
    );
    const identity = await readLedger(transaction);
    return { epoch, fence, ...(identity !== null && { ledger: idOfLedger(identity) }) };
  });
}

/**
 * Holds an instance at rest for a repair until the transaction ends.
 *
 * @throws RepairRefused when the instance runs, has run since the repair began, or another repair has begun.
 */
export async function holdRepair(
  transaction: Transaction,
  instance: string,
  claimed: WriteToken,
): Promise<void> {
  const epoch = await holdInstanceAtRest(transaction, instance);
  const [row] = await transaction.run(
    ledgerSql.selectFrom('keystride.instance').select('repair_fence').where('instance_key', '=', instance),
  );
  if (epoch === claimed.epoch && Number(row?.repair_fence) === claimed.fence) return;
  throw failure(
    'RepairRefused',
    `${instance} has been run or repaired by another since this repair began. Verify it again: ${keystride} verify ${shellWord(instance)}`,
  );
}

/**
 * Shuts out every page attempt that works for a job, or for a redrive of it, at this moment: it commits nothing more. One
 * that is alive is tried again from its checkpoint, under a higher fence.
 */
export async function shutOutAttempts(ledger: Ledger, job: string): Promise<void> {
  const instances = ledgerSql.selectFrom('keystride.instance').select('instance_key');
  const query = ledgerSql
    .updateTable('keystride.checkpoint')
    .set({ holder: null })
    .where('done', '=', false)
    .where('holder', 'is not', null)
    .where((row) =>
      row.or([
        row('instance_key', 'in', instances.where('job', '=', job)),
        row('instance_key', 'in', instances.where('redrives', 'in', instances.where('job', '=', job))),
      ]),
    );
  await ledger.run(query);
}
