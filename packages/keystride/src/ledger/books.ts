import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Ledger } from './ledger.ts';

/** What the ledger says of a step, over all partitions: `read + unreadable = written + filtered + skipped`. */
export interface StepBooks {
  readonly read: number;
  readonly unreadable: number;
  readonly written: number;
  readonly filtered: number;
  readonly skipped: number;
}

/** What the ledger says of an instance that has completed, and what is wrong with it. */
export interface Books {
  /** By the step's name. */
  readonly steps: Readonly<Record<string, StepBooks>>;
  /** One line each; none when all balances and nothing is open. */
  readonly problems: readonly string[];
}

/**
 * Reads the books of an instance, as they are at one moment: every partition done, `read + unreadable = written +
 * filtered + skipped` in each, a skip row for each skip counted, every step and the instance completed.
 *
 * @param endless a step that has no end: it, and the instance, are stopped where others are completed.
 */
export function readBooks(ledger: Ledger, instance: string, endless?: string): Promise<Books> {
  return ledger.transaction(
    async (transaction) => ({
      steps: await readSteps(transaction, instance),
      problems: [
        ...(await unbalancedPartitions(transaction, instance, endless)),
        ...(await miscountedSkips(transaction, instance)),
        ...(await openEntries(transaction, instance, endless)),
      ],
    }),
    { snapshot: true },
  );
}

async function readSteps(transaction: Transaction, instance: string): Promise<Record<string, StepBooks>> {
  const { rows } = await transaction.query<{ step: string } & Record<keyof StepBooks, string>>(
    `SELECT s.step, coalesce(sum(c.read), 0)::text AS read, coalesce(sum(c.read_skipped), 0)::text AS unreadable,
            coalesce(sum(c.written), 0)::text AS written, coalesce(sum(c.filtered), 0)::text AS filtered,
            coalesce(sum(c.skipped), 0)::text AS skipped
       FROM keystride.step AS s LEFT JOIN keystride.checkpoint AS c USING (instance_key, step)
      WHERE instance_key = $1 GROUP BY s.step`,
    [instance],
  );
  return Object.fromEntries(
    rows.map(({ step, read, unreadable, written, filtered, skipped }) => [
      step,
      {
        read: Number(read),
        unreadable: Number(unreadable),
        written: Number(written),
        filtered: Number(filtered),
        skipped: Number(skipped),
      },
    ]),
  );
}

async function unbalancedPartitions(
  transaction: Transaction,
  instance: string,
  endless = '',
): Promise<string[]> {
  const { rows } = await transaction.query<{ problem: string }>(
    `SELECT concat('step ', step, ' partition ', partition, CASE WHEN done THEN '' ELSE ' is not done' END, ': read ',
            read, ' + unreadable ', read_skipped, ', written ', written, ' + filtered ', filtered, ' + skipped ', skipped)
            AS problem
       FROM keystride.checkpoint
      WHERE instance_key = $1 AND (NOT done AND step <> $2 OR read + read_skipped <> written + filtered + skipped)`,
    [instance, endless],
  );
  return rows.map(({ problem }) => problem);
}

async function miscountedSkips(transaction: Transaction, instance: string): Promise<string[]> {
  const { rows } = await transaction.query<{ problem: string }>(
    `SELECT concat('step ', step, ': ', s.skipped, ' skips by its limit, ', counted.skipped, ' by its checkpoints, ',
            noted.skipped, ' skip rows') AS problem
       FROM keystride.step AS s
       CROSS JOIN LATERAL (SELECT coalesce(sum(skipped), 0) AS skipped FROM keystride.checkpoint AS c
                            WHERE c.instance_key = s.instance_key AND c.step = s.step) AS counted
       CROSS JOIN LATERAL (SELECT count(*) AS skipped FROM keystride.skip AS k
                            WHERE k.instance_key = s.instance_key AND k.step = s.step) AS noted
      WHERE instance_key = $1 AND (s.skipped <> counted.skipped OR s.skipped <> noted.skipped)`,
    [instance],
  );
  return rows.map(({ problem }) => problem);
}

async function openEntries(transaction: Transaction, instance: string, endless = ''): Promise<string[]> {
  const { rows } = await transaction.query<{ problem: string }>(
    `SELECT concat('step ', step, ' is ', status) AS problem FROM keystride.step
      WHERE instance_key = $1 AND status <> 'completed' AND step <> $2
     UNION ALL
     SELECT concat('the instance is ', status) FROM keystride.instance
      WHERE instance_key = $1 AND status <> CASE $2 WHEN '' THEN 'completed' ELSE 'stopped' END`,
    [instance, endless],
  );
  return rows.map(({ problem }) => problem);
}
