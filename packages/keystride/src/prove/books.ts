import type pg from 'pg';
import { SessionClient } from '../stores/postgres/session.ts';

/** What the ledger says of an instance: a line a step, and what is wrong with it. */
export interface Books {
  /** Step → its counters, over all partitions: they must be those of the run without faults. */
  readonly steps: ReadonlyMap<string, string>;
  readonly problems: readonly string[];
}

/**
 * Reads the books of an instance: every partition done, `read + unreadable = written + filtered + skipped` in each, a
 * skip row for each skip counted, every step and the instance completed.
 */
export async function readBooks(databaseUrl: string, instance: string): Promise<Books> {
  const client = new SessionClient({ connectionString: databaseUrl });
  await client.connect();
  try {
    return {
      steps: await readSteps(client, instance),
      problems: [
        ...(await unbalancedPartitions(client, instance)),
        ...(await miscountedSkips(client, instance)),
        ...(await openEntries(client, instance)),
      ],
    };
  } finally {
    await client.end();
  }
}

/** What is wrong with the books of a run, those of the run without faults taken as right. */
export function bookProblems(expected: Books, found: Books): string[] {
  const steps = new Set([...expected.steps.keys(), ...found.steps.keys()]);
  const differing = [...steps].filter((step) => expected.steps.get(step) !== found.steps.get(step));
  return [
    ...found.problems,
    ...differing.map(
      (step) =>
        `step ${step}: ${found.steps.get(step) ?? 'is missing'}; without faults ${expected.steps.get(step) ?? 'missing'}`,
    ),
  ];
}

async function readSteps(client: pg.Client, instance: string): Promise<Map<string, string>> {
  const { rows } = await client.query<{ step: string; counters: string }>(
    `SELECT s.step, concat('read ', sum(c.read), ', unreadable ', sum(c.read_skipped), ', written ', sum(c.written),
            ', filtered ', sum(c.filtered), ', skipped ', sum(c.skipped)) AS counters
       FROM keystride.step AS s LEFT JOIN keystride.checkpoint AS c USING (instance_key, step)
      WHERE instance_key = $1 GROUP BY s.step`,
    [instance],
  );
  return new Map(rows.map(({ step, counters }) => [step, counters]));
}

async function unbalancedPartitions(client: pg.Client, instance: string): Promise<string[]> {
  const { rows } = await client.query<{ problem: string }>(
    `SELECT concat('step ', step, ' partition ', partition, CASE WHEN done THEN '' ELSE ' is not done' END, ': read ',
            read, ' + unreadable ', read_skipped, ', written ', written, ' + filtered ', filtered, ' + skipped ', skipped)
            AS problem
       FROM keystride.checkpoint
      WHERE instance_key = $1 AND (NOT done OR read + read_skipped <> written + filtered + skipped)`,
    [instance],
  );
  return rows.map(({ problem }) => problem);
}

async function miscountedSkips(client: pg.Client, instance: string): Promise<string[]> {
  const { rows } = await client.query<{ problem: string }>(
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

async function openEntries(client: pg.Client, instance: string): Promise<string[]> {
  const { rows } = await client.query<{ problem: string }>(
    `SELECT concat('step ', step, ' is ', status) AS problem FROM keystride.step
      WHERE instance_key = $1 AND status <> 'completed'
     UNION ALL
     SELECT concat('the instance is ', status) FROM keystride.instance
      WHERE instance_key = $1 AND status <> 'completed'`,
    [instance],
  );
  return rows.map(({ problem }) => problem);
}
