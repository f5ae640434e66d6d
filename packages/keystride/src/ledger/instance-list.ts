import { sql } from 'kysely';
import type { FoundInstance } from '../contract/activities.ts';
import type { Asked } from './ledger.ts';
import { placeFrom, placeText } from './place-in-list.ts';
import { ledgerSql } from './schema.ts';

/** An instance as a list has it. */
export interface ListedInstance {
  readonly instance: string;
  readonly job: string;
  readonly status: NonNullable<FoundInstance['status']>;
  /** The workflow that ran it last. */
  readonly workflowId: string;
  /** ISO times. */
  readonly openedAt: string;
  readonly closedAt: string | null;
}

/** Which instances are meant; what is not said does not narrow them. */
export interface InstanceFilter {
  readonly job?: string | undefined;
  readonly status?: ListedInstance['status'] | undefined;
  /** ISO times: opened at this one or later, and before that one. */
  readonly from?: string | undefined;
  readonly until?: string | undefined;
  /** Stands in the key. */
  readonly text?: string | undefined;
}

/** Some of a list, and where the next ones begin. */
export interface InstancePage {
  readonly instances: readonly ListedInstance[];
  /** What `after` takes; null when these are the last. */
  readonly next: string | null;
}

/**
 * Instances, the last one that was opened first; redrives are not among them.
 *
 * @param after where the page before it ended
 */
export async function pageOfInstances(
  ledger: Asked,
  filter: InstanceFilter,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<InstancePage> {
  let query = instancesOf(filter);
  const place = placeFrom(after, 2);
  if (place) {
    const [at, key] = place;
    query = query.where(sql<boolean>`(opened_at, instance_key) < (${at}::timestamptz, ${key})`);
  }
  const rows = await ledger.run(
    query
      .select(['instance_key as instance', 'job', 'status', 'owner_workflow_id as workflowId'])
      .select([isoTime<string>('opened_at').as('openedAt'), isoTime('closed_at').as('closedAt')])
      .select(sql<string>`opened_at::text`.as('opened'))
      .orderBy('opened_at', 'desc')
      .orderBy('instance_key', 'desc')
      .limit(limit + 1),
  );
  const last = rows.length > limit ? rows[limit - 1] : undefined;
  return {
    instances: rows
      .slice(0, limit)
      .map(({ opened: _, status, ...row }) => ({ ...row, status: status as ListedInstance['status'] })),
    next: last ? placeText([last.opened, last.instance]) : null,
  };
}

/** The instances of these keys that the ledger has, by key. */
export async function instancesNamed(
  ledger: Asked,
  keys: readonly string[],
): Promise<ReadonlyMap<string, Pick<ListedInstance, 'status' | 'workflowId'>>> {
  const rows = await ledger.run(
    ledgerSql
      .selectFrom('keystride.instance')
      .select(['instance_key', 'status', 'owner_workflow_id'])
      .where(sql<boolean>`instance_key = any(${keys}::text[])`),
  );
  return new Map(
    rows.map(({ instance_key, status, owner_workflow_id }) => [
      instance_key,
      { status: status as ListedInstance['status'], workflowId: owner_workflow_id },
    ]),
  );
}

function instancesOf({ job, status, from, until, text }: InstanceFilter) {
  let query = ledgerSql.selectFrom('keystride.instance').where('redrives', 'is', null);
  if (job !== undefined) query = query.where('job', '=', job);
  if (status !== undefined) query = query.where('status', '=', status);
  if (from !== undefined) query = query.where('opened_at', '>=', from);
  if (until !== undefined) query = query.where('opened_at', '<', until);
  if (text !== undefined) query = query.where(sql<boolean>`position(${text} in instance_key) > 0`);
  return query;
}

function isoTime<Type = string | null>(column: 'opened_at' | 'closed_at') {
  return sql<Type>`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
