import { sql } from 'kysely';
import {
  type AuditAction,
  type AuditEntry,
  type AuditFacts,
  type AuditOrigin,
  longestOperator,
} from '../contract/audit.ts';
import { cutText } from '../contract/errors.ts';
import { storableJson, storableText } from '../stores/postgres/storable-text.ts';
import type { Asked } from './ledger.ts';
import { ledgerSql } from './schema.ts';

/** An entry as the ledger has it. */
export interface EnteredChange {
  /** The place of the entry in the audit: what `AuditPage.after` takes. */
  readonly key: string;
  /** ISO time. */
  readonly at: string;
  readonly operator: string;
  readonly from: AuditOrigin;
  readonly action: AuditAction;
  readonly reason: string | null;
  readonly before: AuditFacts;
  readonly after: AuditFacts;
  readonly job: string | null;
  readonly instance: string | null;
  readonly workflowId: string | null;
  readonly runId: string | null;
  /** The schedule or the stream that was changed; null for a run. */
  readonly subject: string | null;
}

/** Which entries are meant; what is not said does not narrow them. */
export interface AuditFilter {
  /** Those about any of these: instances, workflow ids, schedules or streams. */
  readonly ids?: readonly string[] | undefined;
  readonly operator?: string | undefined;
  readonly action?: AuditAction | undefined;
  /** ISO time: those since then. */
  readonly since?: string | undefined;
}

/** A page of entries: so many, from the newest, or from the one after that key. */
export interface AuditPage {
  readonly limit: number;
  readonly after?: string | undefined;
}

/** Who has started what works on an instance, and why: entered when it has its claim. */
export type RunStart = Pick<AuditEntry, 'by' | 'reason' | 'job' | 'workflowId' | 'runId' | 'source'>;

/**
 * Enters a change. One that Temporal's history has too is entered once, however often it is asked for; the entry that is
 * there stays.
 */
export async function enterChange(asked: Asked, entry: AuditEntry): Promise<void> {
  const {
    by,
    reason,
    before = {},
    after = {},
    at,
    job,
    instance,
    workflowId,
    runId,
    subject,
    source,
  } = entry;
  const text = (given: string | undefined) => (given === undefined ? null : storableText(given));
  await asked.run(
    ledgerSql
      .insertInto('keystride.audit')
      .values({
        ...(at === undefined ? {} : { at }),
        operator: storableText(cutText(by.operator, longestOperator)),
        origin: by.from,
        action: entry.action,
        reason: reason ? storableText(cutText(reason)) : null,
        before: storableJson(before),
        after: storableJson(after),
        job: text(job),
        instance_key: text(instance),
        workflow_id: text(workflowId),
        run_id: text(runId),
        subject: text(subject),
        source: text(source),
      })
      .onConflict((conflict) => conflict.doNothing()),
  );
}

/** The entries that a filter means, newest first: a page of them, found by key however many there are. */
export async function readAudit(
  ledger: Asked,
  filter: AuditFilter,
  page: AuditPage,
): Promise<EnteredChange[]> {
  const { ids } = filter;
  const rows = await ledger.run(ids === undefined ? narrowed(filter, page) : aboutAny(ids, filter, page));
  return rows.map((row): EnteredChange => ({
    key: `${row.id}@${row.moment}`,
    at: row.moment.replace(/\d{3}Z$/u, 'Z'),
    operator: row.operator,
    from: row.origin as AuditOrigin,
    action: row.action as AuditAction,
    reason: row.reason,
    before: row.before as AuditFacts,
    after: row.after as AuditFacts,
    job: row.job,
    instance: row.instance_key,
    workflowId: row.workflow_id,
    runId: row.run_id,
    subject: row.subject,
  }));
}

/** Each column has an index that gives its first entries; one condition over all of them would read all. */
function aboutAny(ids: readonly string[], filter: AuditFilter, page: AuditPage) {
  const about = (column: 'instance_key' | 'workflow_id' | 'subject', id: string) =>
    ledgerSql.selectFrom(narrowed(filter, page).where(column, '=', id).as('found')).selectAll();
  const nothing = ledgerSql.selectFrom(narrowed(filter, { limit: 0 }).as('found')).selectAll();
  const found = ids.reduce(
    (query, id) =>
      query.union(about('instance_key', id)).union(about('workflow_id', id)).union(about('subject', id)),
    nothing,
  );
  return ledgerSql
    .selectFrom(found.as('audit'))
    .selectAll()
    .orderBy('at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit);
}

function narrowed({ operator, action, since }: AuditFilter, { limit, after }: AuditPage) {
  let query = ledgerSql
    .selectFrom('keystride.audit')
    .select(['id', 'at', 'operator', 'origin', 'action', 'reason', 'before', 'after'])
    .select(['job', 'instance_key', 'workflow_id', 'run_id', 'subject'])
    .select(sql<string>`to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`.as('moment'));
  if (operator !== undefined) query = query.where('operator', '=', operator);
  if (action !== undefined) query = query.where('action', '=', action);
  if (since !== undefined) query = query.where('at', '>=', since);
  const key = keyOf(after);
  if (key) query = query.where(sql<boolean>`(at, id) < (${key.at}::timestamptz, ${key.id}::bigint)`);
  return query.orderBy('at', 'desc').orderBy('id', 'desc').limit(limit);
}

/** The parts of an entry's key; undefined where none is given, or what is given is none. */
function keyOf(text: string | undefined): { readonly id: string; readonly at: string } | undefined {
  const [, id, at] = /^(\d{1,18})@(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)$/u.exec(text ?? '') ?? [];
  return id === undefined || at === undefined ? undefined : { id, at };
}
