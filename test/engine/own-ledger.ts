import type pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Claim } from '../../packages/keystride/src/contract/claim.ts';
import type { SeenStep } from '../../packages/keystride/src/contract/step-activities.ts';
import { cursorOf } from '../../packages/keystride/src/contract/cursor.ts';
import { noCounters } from '../../packages/keystride/src/contract/progress.ts';
import {
  advanceCheckpoint,
  type Lease,
  type PartitionKey,
  takeCheckpoint,
} from '../../packages/keystride/src/ledger/checkpoint.ts';
import { claimInstance } from '../../packages/keystride/src/ledger/claim.ts';
import { Ledger } from '../../packages/keystride/src/ledger/ledger.ts';
import { completeStep, completeTasklet, recordStep } from '../../packages/keystride/src/ledger/step.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

export const opening = { skipLimit: 0, startLimit: undefined, beforeStep: undefined };
export const tasks = { ranges: [], expected: null };
export const whole = { ranges: [{ lower: null, upper: null }], expected: null };
export const ten = { ...noCounters, read: 10, written: 10 };

export const key = (claimed: Claim) => ({ claim: claimed, step: 'copy', partition: 0 });

/** What an attempt has that took the partition, after so many chunks. */
export function lease(of: PartitionKey, seq: number, holder = 'mine'): Lease {
  return { ...of, holder, seq };
}

interface Asked {
  readonly run?: string;
  readonly workflowId?: string;
  readonly carried?: Claim | null;
  readonly preventRestart?: boolean;
  readonly seenElsewhere?: number;
  readonly isOpen?: boolean;
  readonly job?: string;
}

/** A ledger that one file of tests has to itself. */
export class OwnLedger {
  #database: TestDatabase | undefined;
  pool!: pg.Pool;
  ledger!: Ledger;

  constructor() {
    beforeAll(async () => {
      this.#database = await testDatabase('target');
      this.pool = createPool(this.#database.url, 'keystride test', 4);
      this.ledger = new Ledger(this.pool);
    });
    afterAll(async () => {
      await this.pool?.end();
      await this.#database?.drop();
    });
  }

  claim(instance: string, asked: Asked = {}): Promise<Claim> {
    const {
      run = 'first',
      workflowId = instance,
      carried = null,
      preventRestart = false,
      job = 'noted',
    } = asked;
    const { isOpen = false, seenElsewhere = 0 } = asked;
    return claimInstance(
      this.ledger,
      {
        ...{ job, instance, parameters: {}, workflowId, runId: run },
        carried,
        preventRestart,
        seenElsewhere,
      },
      () => Promise.resolve(isOpen),
    );
  }

  /** An instance whose tasklet and chunk step have completed, and what its run has seen of them. */
  async completedRun(instance: string): Promise<{ claimed: Claim; saw: SeenStep[] }> {
    const claimed = await this.claim(instance);
    const begin = { claim: claimed, step: 'begin' };
    await recordStep(this.ledger, begin, tasks, opening, undefined);
    await completeTasklet(this.ledger, begin, 5, () => Promise.resolve(1));
    await recordStep(this.ledger, key(claimed), whole, opening, undefined);
    await takeCheckpoint(this.ledger, key(claimed), 'mine');
    await this.ledger.transaction((transaction) =>
      advanceCheckpoint(transaction, lease(key(claimed), 0), {
        cursor: cursorOf(['10']),
        counters: ten,
        done: true,
      }),
    );
    await completeStep(this.ledger, key(claimed));
    const saw: SeenStep[] = [
      { step: 'begin', kind: 'tasklet', own: true },
      { step: 'copy', kind: 'chunk', own: true, counters: ten },
    ];
    return { claimed, saw };
  }
}
