import { setTimeout as delay } from 'node:timers/promises';
import {
  type ScheduleDescription,
  ScheduleNotFoundError,
  type WorkflowExecutionInfo,
} from '@temporalio/client';
import {
  type AuditAction,
  type AuditEntry,
  type AuditFacts,
  type ChangedBy,
  unknownOperator,
} from '../contract/audit.ts';
import { quoted } from '../host/query-text.ts';
import { enterChange } from '../ledger/audit.ts';
import { knownSources, lastScheduleEntries, type LastScheduleEntry } from '../ledger/audit-noticed.ts';
import type { Session } from './connection.ts';
import { withLedger } from './ledger.ts';
import { listedJobs, ofTypes } from './run-query.ts';
import { jobScheduleIds } from './schedules/list.ts';
import { cronOf, inputOf } from './schedules/read.ts';

/** A change that was seen, and what it is known by: two looks make one entry of it. */
type NoticedEntry = AuditEntry & { readonly source: string };

type ScheduleAction = Extract<AuditAction, `schedule ${string}`>;

const nobodyKnown: ChangedBy = { operator: unknownOperator, from: 'temporal' };

/** Whoever makes a change by command or console enters it a moment later, in milliseconds: it is not to be entered twice. */
const enteredWithin = 1_000;

/** Runs that are looked at: those that were terminated last. */
const mostRuns = 50;

/**
 * Enters what has been done by means of Temporal alone, which no workflow and no command of ours has seen: runs that were
 * terminated, and changes of schedules. Each is entered once, however often somebody looks.
 *
 * @throws what Temporal or the ledger answers when they cannot be asked
 */
export async function noticeChanges(session: Session): Promise<void> {
  const look = async () => (await Promise.all([terminations(session), scheduleChanges(session)])).flat();
  await enterAll(look);
}

/** The same for one run alone. */
export async function noticeTermination(session: Session, workflowId: string): Promise<void> {
  await enterAll(() => terminations(session, workflowId));
}

async function enterAll(look: () => Promise<readonly NoticedEntry[]>): Promise<void> {
  if ((await look()).length === 0) return;
  await delay(enteredWithin);
  const found = await look();
  await withLedger(async (ledger) => {
    for (const entry of found) await enterChange(ledger, entry);
  });
}

/** Those of these that the audit does not have. */
async function notEntered(entries: readonly NoticedEntry[]): Promise<NoticedEntry[]> {
  if (entries.length === 0) return [];
  const sources = entries.map(({ source }) => source);
  const known = await withLedger((ledger) => knownSources(ledger, sources));
  return entries.filter(({ source }) => !known.has(source));
}

/** Runs that somebody has terminated, the last of them, that are not entered. */
async function terminations(
  { client }: Pick<Session, 'client'>,
  workflowId?: string,
): Promise<NoticedEntry[]> {
  const one = workflowId === undefined ? '' : ` AND WorkflowId = ${quoted(workflowId)}`;
  const query = `ExecutionStatus = 'Terminated' AND ${ofTypes(await listedJobs())}${one}`;
  const found: NoticedEntry[] = [];
  for await (const info of client.workflow.list({ query, pageSize: mostRuns })) {
    found.push(terminationOf(info));
    if (found.length >= mostRuns) break;
  }
  return Promise.all((await notEntered(found)).map((entry) => withTerminator(client, entry)));
}

function terminationOf({ workflowId, runId, type, closeTime }: WorkflowExecutionInfo): NoticedEntry {
  return {
    ...{ action: 'terminate', job: type, workflowId, runId, source: `${runId}/terminate` },
    by: nobodyKnown,
    after: { status: 'terminated' },
    ...(closeTime ? { at: closeTime.toISOString() } : {}),
  };
}

/** Temporal's history has who has terminated a run, and why, in its last event. */
async function withTerminator(
  { workflowService, options: { namespace } }: Session['client'],
  entry: NoticedEntry,
): Promise<NoticedEntry> {
  const { workflowId = '', runId = '' } = entry;
  const { history } = await workflowService.getWorkflowExecutionHistoryReverse({
    ...{ namespace, execution: { workflowId, runId }, maximumPageSize: 1 },
  });
  const told = history?.events?.[0]?.workflowExecutionTerminatedEventAttributes;
  if (!told) return entry;
  const by = { ...nobodyKnown, operator: told.identity || unknownOperator };
  return { ...entry, by, reason: told.reason ?? undefined };
}

/** How the schedules differ from what the audit has of them, as far as it is not entered. */
async function scheduleChanges(session: Session): Promise<NoticedEntry[]> {
  const entered = await withLedger(lastScheduleEntries);
  const there = [...entered].flatMap(([id, { action }]) => (action === 'schedule delete' ? [] : [id]));
  const ids = [...new Set([...(await jobScheduleIds(session)), ...there])];
  const found = await Promise.all(
    ids.map(async (id) => changesOf(id, await described(session.client, id), entered.get(id))),
  );
  return notEntered(found.flat());
}

async function described(client: Session['client'], id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** What has been done to a schedule since its last entry. Temporal does not know who, and of a pause not even when. */
function changesOf(
  id: string,
  found: ScheduleDescription | undefined,
  last: LastScheduleEntry | undefined,
): NoticedEntry[] {
  const gone = last === undefined || last.action === 'schedule delete';
  const change = (action: ScheduleAction, what: string, rest: Partial<AuditEntry>): NoticedEntry => ({
    ...{ action, subject: id, by: nobodyKnown, source: `schedule ${id}/${what}` },
    ...rest,
  });
  if (!found) return gone ? [] : [change('schedule delete', `deleted after ${last.id}`, {})];
  const { state, info } = found;
  const { job } = inputOf(found);
  const after = { ...timesOf(found), paused: state.paused };
  if (gone) {
    const at = info.createdAt.toISOString();
    return [change('schedule create', `created ${at}`, { job, at, after })];
  }
  const at = info.lastUpdatedAt?.toISOString();
  const { paused = state.paused } = last;
  return [
    ...(at === undefined ? [] : [change('schedule update', `updated ${at}`, { job, at, after })]),
    ...(paused === state.paused
      ? []
      : [
          change(state.paused ? 'schedule pause' : 'schedule unpause', `paused after ${last.id}`, {
            ...{ job, before: { paused }, after: { paused: state.paused } },
            ...(state.note ? { reason: state.note } : {}),
          }),
        ]),
  ];
}

function timesOf(found: ScheduleDescription): AuditFacts {
  return { cron: cronOf(found), timeZone: found.spec.timezone || 'UTC' };
}
