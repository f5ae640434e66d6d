import { presentLevel } from '../contract/level.ts';
import { ledgerSql } from './schema.ts';
import type { Asked } from './ledger.ts';

/** The level that the ledger carries; see `contract/level.ts`. @throws what the database answers where there is none */
export async function readLevel(ledger: Asked): Promise<number> {
  const [row] = await ledger.run(ledgerSql.selectFrom('keystride.ledger').select('level'));
  return row?.level ?? 0;
}

/** Notes that no worker of an earlier level works with the ledger, nor will. @returns whether it was lower */
export async function raiseLevel(ledger: Asked): Promise<boolean> {
  const raised = await ledger.run(
    ledgerSql
      .updateTable('keystride.ledger')
      .set({ level: presentLevel })
      .where('level', '<', presentLevel)
      .returning('level'),
  );
  return raised.length > 0;
}
