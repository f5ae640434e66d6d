import type pg from 'pg';

/** How much a ledger holds. */
export interface LedgerSize {
  readonly instances: number;
  /** Of one of them: the last one. */
  readonly skips: number;
  readonly partitions: number;
}

/** The instance that has the skips and the partitions. */
export const largeInstance = 'nightly:day=large';

/** The causes of its skips: most have the first one, and a few the last. */
export const causes = [
  ['NOT_FOUND', 900],
  ['TOO_LARGE', 60],
  ['CONFLICT', 30],
  ['GONE', 9],
  ['ODD', 1],
].reduce<readonly LargeCause[]>((before, [code, share]) => {
  const above = before.reduce((sum, cause) => sum + cause.share, 0);
  return [
    ...before,
    { code: String(code), fingerprint: `${code}: the API has said so`, above, share: Number(share) },
  ];
}, []);

interface LargeCause {
  readonly code: string;
  readonly fingerprint: string;
  /** Of a thousand items those from this one on, so many. */
  readonly above: number;
  readonly share: number;
}

/**
 * Fills a ledger in the way in which runs would: skips in chunks of a hundred that have one time, a tenth of them settled.
 * What checks rows against other rows is left out: the server would check each of a million.
 */
export async function fillLedger(
  client: pg.ClientBase,
  { instances, skips, partitions }: LedgerSize,
): Promise<void> {
  await client.query('set session_replication_role = replica');
  await client.query(
    `insert into keystride.instance
            (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status, opened_at, closed_at)
     select 'nightly:day=' || i, (array['nightly', 'monthly', 'hourly'])[1 + i % 3], '{}', 1, 'nightly:day=' || i,
            'run-' || i, (array['completed', 'completed', 'completed', 'failed', 'stopped'])[1 + i % 5],
            timestamptz '2025-01-01' + i * interval '1 hour', timestamptz '2025-01-01 00:30' + i * interval '1 hour'
       from generate_series(1, $1::int) i`,
    [instances - 1],
  );
  await client.query(
    `insert into keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status)
     values ($1, 'nightly', '{}', 1, $1, 'run', 'failed')`,
    [largeInstance],
  );
  await client.query(
    `insert into keystride.step (instance_key, step, status, epoch, skipped, skip_limit)
     values ($1, 'work', 'open', 1, $2, $2)`,
    [largeInstance, skips],
  );
  await client.query(
    `insert into keystride.checkpoint (instance_key, step, partition, epoch, read, written, skipped)
     select $1, 'work', i, 1, 1000, 900, 100 from generate_series(0, $2::int - 1) i`,
    [largeInstance, partitions],
  );
  await client.query(
    `insert into keystride.skip
            (instance_key, step, item_key, phase, code, fingerprint, message, partition, status, created_at)
     select $1, 'work', i::text, 'process', cause.code, cause.fingerprint, 'the API answered for ' || i, i % 5000,
            case when i % 10 > 0 then 'open' when i % 20 > 0 then 'redriven' else 'waived' end,
            timestamptz '2025-01-01' + i / 100 * interval '1 second'
       from generate_series(1, $2::int) i
       join jsonb_to_recordset($3::jsonb) as cause (code text, fingerprint text, above int, share int)
         on i % 1000 >= cause.above and i % 1000 < cause.above + cause.share`,
    [largeInstance, skips, JSON.stringify(causes)],
  );
  await client.query('reset session_replication_role');
  await client.query('vacuum analyze');
}
