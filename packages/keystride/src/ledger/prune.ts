import type { Authorship } from '../contract/audit.ts';
import { addPruned, nothingPruned, type Pruned, type Retention } from '../contract/retention.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import { enterChange, type RunStart } from './audit.ts';
import type { Ledger } from './ledger.ts';
import { type DatedRetention, datedRetention } from './prune-clock.ts';
import { jobsOf } from './prune-jobs.ts';

/**
 * Gives up what a ledger no longer has to keep, in transactions of a bounded number of rows. It may be interrupted
 * between any two of them, and at any instant within one: whoever prunes next goes on.
 *
 * Of an instance its own row stays, with its epoch, its parameters and its figures: it is refused as complete for ever,
 * a job that runs it as a step finds it complete, and it can be verified. Only instances that have completed go, with
 * their redrives; what has failed or was stopped can be started again, and keeps all that a restart needs. Offsets of
 * streams and fences belong to no instance, and stay.
 */

/** Rows that one transaction deletes, at most. */
const atATime = 2_000;

/** Instances that are looked up at a time. */
const lookedUp = 200;

export interface PruneOptions {
  /** Ends it between two transactions. */
  readonly signal?: AbortSignal;
  /** Called after each transaction, with what it has deleted. */
  onProgress?(pruned: Pruned): void;
  /** What this process takes for now, in milliseconds. @default Date.now */
  readonly clock?: () => number;
}

/** Enters who prunes a ledger, and what he means to keep. */
export async function enterPrune(
  ledger: Ledger,
  { jobs, openSkips, ...figures }: Retention,
  author: Authorship & Partial<RunStart>,
): Promise<void> {
  const after = { ...figures, ...(jobs && { jobs }), ...(openSkips && { openSkips }) };
  await enterChange(ledger, { ...author, action: 'prune', after });
}

/**
 * @returns what was given up: by this call, not by earlier ones.
 * @throws ClocksApart before anything is deleted, where nobody can say how old it is.
 */
export async function pruneLedger(
  ledger: Ledger,
  retention: Retention,
  { signal, onProgress, clock = Date.now }: PruneOptions = {},
): Promise<Pruned> {
  let sum = nothingPruned;
  for await (const pruned of chunksOf(ledger, await datedRetention(ledger, retention, clock))) {
    sum = addPruned(sum, pruned);
    onProgress?.(pruned);
    if (signal?.aborted) break;
  }
  return sum;
}

/** What each transaction has deleted. */
async function* chunksOf(ledger: Ledger, retention: DatedRetention): AsyncGenerator<Pruned> {
  for (const instance of await halfPruned(ledger)) yield* drain(ledger, instance);
  for (const job of await jobsOf(ledger, retention))
    for await (const instance of prunable(ledger, job, retention)) {
      const family = await ledger.transaction((transaction) => begin(transaction, instance, retention));
      for (const member of family) yield* drain(ledger, member);
      if (family.length > 0) yield { ...nothingPruned, instances: 1 };
    }
  yield* deleteOld(ledger, 'deadLetters', oldDeadLetters, retention.olderThanDays, retention);
  yield* deleteOld(ledger, 'audit', oldEntries, retention.auditOlderThanDays, retention);
}

/** What a prune that was interrupted has begun. */
async function halfPruned(ledger: Ledger): Promise<string[]> {
  const { rows } = await ledger.transaction((transaction) =>
    transaction.query<{ instance_key: string }>(
      'SELECT instance_key FROM keystride.instance WHERE being_pruned ORDER BY instance_key',
    ),
  );
  return rows.map(({ instance_key }) => instance_key);
}

/** An instance that has completed, unless it was pruned. */
const ended = `job = $1 AND status = 'completed' AND redrives IS NULL AND pruned_at IS NULL`;

/**
 * The end before which the instances of a job are too old and too many; null where none are.
 *
 * The oldest of those that are kept marks it: by their number they are the newest, whatever their age.
 */
async function limitOf(
  ledger: Ledger,
  job: string,
  { olderThanDays, keep, now }: DatedRetention,
): Promise<string | null> {
  const age = olderThanDays * 86_400;
  const { rows } = await ledger.transaction((transaction) =>
    keep === 0
      ? transaction.query<{ limit: string }>(
          'SELECT ($2::timestamptz - make_interval(secs => $1))::text AS limit',
          [age, now],
        )
      : transaction.query<{ limit: string }>(
          `SELECT least(closed_at, $4::timestamptz - make_interval(secs => $2))::text AS limit
             FROM keystride.instance WHERE ${ended} ORDER BY closed_at DESC OFFSET $3 LIMIT 1`,
          [job, age, keep - 1, now],
        ),
  );
  return rows[0]?.limit ?? null;
}

/** The instances of a job that are too old and too many, the oldest first. */
async function* prunable(ledger: Ledger, job: string, retention: DatedRetention): AsyncGenerator<string> {
  const limit = await limitOf(ledger, job, retention);
  if (limit === null) return;
  let after = ['-infinity', ''];
  for (;;) {
    const { rows } = await ledger.transaction((transaction) =>
      transaction.query<{ instance_key: string; closed_at: string }>(
        `SELECT instance_key, closed_at::text FROM keystride.instance
          WHERE ${ended} AND closed_at < $2::timestamptz AND (closed_at, instance_key) > ($3::timestamptz, $4)
          ORDER BY closed_at, instance_key LIMIT ${lookedUp}`,
        [job, limit, ...after],
      ),
    );
    for (const { instance_key, closed_at } of rows) {
      yield instance_key;
      after = [closed_at, instance_key];
    }
    if (rows.length < lookedUp) return;
  }
}

/**
 * Marks an instance and its redrives as pruned, with their figures, unless somebody may still need them.
 *
 * @returns the instances that are to be drained; none where it stays.
 */
async function begin(
  transaction: Transaction,
  instance: string,
  { openSkips = false }: Retention,
): Promise<readonly string[]> {
  // Whoever redrives or waives skips of it locks the same row.
  const { rowCount } = await transaction.query(
    `SELECT FROM keystride.instance AS instance
      WHERE instance_key = $1 AND status = 'completed' AND pruned_at IS NULL FOR UPDATE`,
    [instance],
  );
  if (rowCount === 0) return [];
  const { rows: needed } = await transaction.query(
    `SELECT WHERE EXISTS (SELECT FROM keystride.instance WHERE redrives = $1 AND status = 'running')
               OR (NOT $2 AND EXISTS (SELECT FROM keystride.skip WHERE instance_key = $1 AND status = 'open'))`,
    [instance, openSkips],
  );
  if (needed.length > 0) return [];
  const { rows } = await transaction.query<{ instance_key: string }>(
    `UPDATE keystride.instance AS instance
        SET pruned_at = now(), being_pruned = true, pruned_counters = (
              SELECT jsonb_build_object(
                       'read', coalesce(sum(read), 0), 'readSkipped', coalesce(sum(read_skipped), 0),
                       'filtered', coalesce(sum(filtered), 0), 'written', coalesce(sum(written), 0),
                       'skipped', coalesce(sum(skipped), 0))
                FROM keystride.checkpoint WHERE checkpoint.instance_key = instance.instance_key)
      WHERE instance_key = $1 OR redrives = $1 RETURNING instance_key`,
    [instance],
  );
  return rows.map(({ instance_key }) => instance_key);
}

/** What belongs to an instance, in the order in which it goes: nothing is left for a step to take along. */
const belongings = [
  { table: 'skip', counted: 'skips' },
  { table: 'dead_letter', counted: 'deadLetters' },
  { table: 'postponed_row', counted: undefined },
  { table: 'checkpoint', counted: 'partitions' },
  { table: 'step', counted: undefined },
  { table: 'met_shape', counted: undefined },
] as const;

/** Deletes what belongs to an instance that is marked. */
async function* drain(ledger: Ledger, instance: string): AsyncGenerator<Pruned> {
  for (let drained = false; !drained;) {
    const some = await ledger.transaction((transaction) => drainSome(transaction, instance));
    yield some.pruned;
    ({ drained } = some);
  }
}

async function drainSome(
  transaction: Transaction,
  instance: string,
): Promise<{ readonly pruned: Pruned; readonly drained: boolean }> {
  // Of two that prune at once the second goes on where the first has committed.
  const { rowCount } = await transaction.query(
    'SELECT FROM keystride.instance WHERE instance_key = $1 AND being_pruned FOR UPDATE',
    [instance],
  );
  if (rowCount === 0) return { pruned: nothingPruned, drained: true };
  let left = atATime;
  const counts: Partial<Record<keyof Pruned, number>> = {};
  for (const { table, counted } of belongings) {
    const deleted = await deleteOf(transaction, table, instance, left);
    if (counted) counts[counted] = deleted;
    left -= deleted;
  }
  if (left > 0)
    await transaction.query('UPDATE keystride.instance SET being_pruned = false WHERE instance_key = $1', [
      instance,
    ]);
  return { pruned: { ...nothingPruned, ...counts }, drained: left > 0 };
}

async function deleteOf(
  transaction: Transaction,
  table: (typeof belongings)[number]['table'],
  instance: string,
  most: number,
): Promise<number> {
  if (most === 0) return 0;
  const { rowCount } = await transaction.query(
    `DELETE FROM keystride.${table} WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM keystride.${table} WHERE instance_key = $1 LIMIT $2))`,
    [instance, most],
  );
  return rowCount ?? 0;
}

/**
 * Dead letters are for people to look at, and no restart needs them; those of a run that goes on stay. An instance, and a
 * redrive of it, is named after its job.
 */
const oldDeadLetters = {
  table: 'dead_letter',
  where: `created_at < $3::timestamptz - make_interval(secs => $1) AND EXISTS (
            SELECT FROM keystride.instance WHERE instance.instance_key = dead_letter.instance_key
               AND status <> 'running')
          AND ($2::text[] IS NULL OR split_part(split_part(instance_key, ':', 1), '/', 1) = ANY ($2::text[]))`,
  order: 'created_at',
};

const oldEntries = {
  table: 'audit',
  where:
    'at < $3::timestamptz - make_interval(secs => $1) AND ($2::text[] IS NULL OR job = ANY ($2::text[]))',
  order: 'at',
};

async function* deleteOld(
  ledger: Ledger,
  counted: 'deadLetters' | 'audit',
  { table, where, order }: typeof oldEntries,
  days: number,
  { jobs, now }: DatedRetention,
): AsyncGenerator<Pruned> {
  for (;;) {
    const { rowCount } = await ledger.transaction((transaction) =>
      transaction.query(
        `DELETE FROM keystride.${table} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM keystride.${table} WHERE ${where} ORDER BY ${order} LIMIT ${atATime}))`,
        [days * 86_400, jobs ?? null, now],
      ),
    );
    const deleted = rowCount ?? 0;
    yield { ...nothingPruned, [counted]: deleted };
    if (deleted < atATime) return;
  }
}

/** What `pruneLedger` would give up now. It changes nothing. @throws ClocksApart */
export async function wouldPrune(ledger: Ledger, kept: Retention, clock = Date.now): Promise<Pruned> {
  const retention = await datedRetention(ledger, kept, clock);
  let sum = nothingPruned;
  for (const job of await jobsOf(ledger, retention)) {
    const limit = await limitOf(ledger, job, retention);
    if (limit !== null) sum = addPruned(sum, await countOf(ledger, job, limit, retention));
  }
  const old = async ({ table, where }: typeof oldEntries, days: number) => {
    const { rows } = await ledger.transaction((transaction) =>
      transaction.query<{ rows: number }>(
        `SELECT count(*)::int AS rows FROM keystride.${table} WHERE ${where}`,
        [days * 86_400, retention.jobs ?? null, retention.now],
      ),
    );
    return rows[0]?.rows ?? 0;
  };
  return {
    ...sum,
    deadLetters: sum.deadLetters + (await old(oldDeadLetters, retention.olderThanDays)),
    audit: await old(oldEntries, retention.auditOlderThanDays),
  };
}

/** Each instance is looked up by itself, by an index: the planner would take any for the one that has the most skips. */
async function countOf(
  ledger: Ledger,
  job: string,
  limit: string,
  { openSkips = false, olderThanDays, now }: DatedRetention,
): Promise<Pruned> {
  const { rows } = await ledger.transaction(async (transaction) => {
    await transaction.query('SET LOCAL enable_seqscan = off');
    return transaction.query<Record<'instances' | 'partitions' | 'skips' | 'letters', string | null>>(
      `WITH going AS MATERIALIZED (
         SELECT instance_key, skips
           FROM keystride.instance AS instance
          CROSS JOIN LATERAL (
                SELECT count(*) AS skips, count(*) FILTER (WHERE skip.status = 'open') AS open
                  FROM keystride.skip WHERE skip.instance_key = instance.instance_key) AS of_it
          WHERE ${ended} AND closed_at < $2::timestamptz
            AND NOT EXISTS (SELECT FROM keystride.instance AS other
                             WHERE other.redrives = instance.instance_key AND other.status = 'running')
            AND ($3 OR open = 0)),
       family AS MATERIALIZED (
         SELECT instance_key FROM going
         UNION ALL SELECT other.instance_key FROM keystride.instance AS other
                    WHERE other.redrives IN (SELECT instance_key FROM going))
       SELECT (SELECT count(*) FROM going) AS instances,
              (SELECT sum(skips) FROM going) AS skips,
              sum((SELECT count(*) FROM keystride.checkpoint WHERE instance_key = family.instance_key)) AS partitions,
              (SELECT count(*) FROM keystride.dead_letter WHERE instance_key IN (SELECT instance_key FROM family)
                  AND created_at >= $5::timestamptz - make_interval(secs => $4)) AS letters
         FROM family`,
      [job, limit, openSkips, olderThanDays * 86_400, now],
    );
  });
  const found = rows[0];
  return {
    ...nothingPruned,
    instances: Number(found?.instances ?? 0),
    partitions: Number(found?.partitions ?? 0),
    skips: Number(found?.skips ?? 0),
    deadLetters: Number(found?.letters ?? 0),
  };
}
