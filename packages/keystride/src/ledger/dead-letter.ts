import type { Claim } from '../contract/claim.ts';
import type { DeadLetter } from '../contract/alerts.ts';
import { itemKeyOf } from './item-key.ts';
import { ledgerSql } from './schema.ts';
import { storableText } from '../stores/postgres/storable-text.ts';
import type { Ledger } from './ledger.ts';

/**
 * Records an item that has failed for good, once an execution.
 *
 * @returns whether it was not there yet.
 */
export async function recordDeadLetter(ledger: Ledger, claim: Claim, letter: DeadLetter): Promise<boolean> {
  const { instance, step, partition, phase, attempts } = letter;
  const query = ledgerSql
    .insertInto('keystride.dead_letter')
    .values({
      instance_key: instance,
      epoch: claim.epoch,
      workflow_id: letter.workflowId,
      run_id: letter.runId,
      ...{ step, partition, phase, attempts },
      item_key: itemKeyOf(letter.key),
      code: storableText(letter.code),
      fingerprint: storableText(letter.fingerprint),
      message: storableText(letter.message),
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('item_key');
  return (await ledger.run(query)).length === 1;
}
