import { redrive } from '../contract/redrive.ts';
import { searchAttributes } from '../contract/search-attributes.ts';
import { quoted } from '../host/query-text.ts';
import { catalogue } from './catalogue.ts';
import type { Session } from './connection.ts';

/** Groups of states that runs are looked through by. */
export const runGroups = ['active', 'held', 'failed', 'completedWithSkips', 'completed', 'stopped'] as const;

export type RunGroup = (typeof runGroups)[number];

/** Which runs are meant; what is not named does not matter. */
export interface RunFilter {
  readonly job?: string | undefined;
  readonly group?: RunGroup | undefined;
  /** How the workflow id begins. */
  readonly text?: string | undefined;
  /** Days in UTC, as `2027-01-31`, both included, on which they started. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** A redrive runs the steps of another job, and fails and skips as any run. */
export const listedJobs = async (): Promise<string[]> => [
  ...(await catalogue()).map(({ name }) => name),
  redrive.name,
];

const published = searchAttributes.status;

/** How Temporal is asked for a group: for some of its own states, or by what runs publish as well. */
type GroupQuery = { readonly own: readonly string[] } | { readonly told: string };

/** Only a namespace that has the search attribute tells all groups apart. */
const queries: Readonly<Record<RunGroup, { readonly own?: readonly string[]; readonly told?: string }>> = {
  active: { own: ['Running'] },
  // Of those that run: what waits for an operator.
  held: { told: `(ExecutionStatus = 'Running' AND ${published} IN ('paused', 'holding'))` },
  failed: { own: ['Failed', 'Terminated', 'TimedOut'] },
  completedWithSkips: { told: `(ExecutionStatus = 'Completed' AND ${published} = 'completedWithSkips')` },
  completed: { own: ['Completed'], told: `(ExecutionStatus = 'Completed' AND ${published} = 'completed')` },
  stopped: {
    own: ['Canceled'],
    told: `(ExecutionStatus = 'Canceled' OR (ExecutionStatus = 'Completed' AND ${published} = 'stopped'))`,
  },
};

/** How a group is asked for in a namespace; undefined where nobody can tell it apart there. */
export async function groupQueryOf(session: Session, group: RunGroup): Promise<GroupQuery | undefined> {
  const { own, told } = queries[group];
  if (told !== undefined && (await publishesStatus(session))) return { told };
  return own && { own };
}

/**
 * A query for Temporal's list of workflows. It goes by workflow type and not by our search attribute, since a run that was
 * refused before it opened has none.
 */
export async function queryOf(session: Session, filter: RunFilter): Promise<string> {
  const { job, group, text, from, to } = filter;
  const types = (await listedJobs()).filter((name) => job === undefined || name === job);
  const asked = group && (await groupQueryOf(session, group));
  return [
    // Continued runs go on as the next one of the same id, which is listed too.
    `ExecutionStatus != 'ContinuedAsNew'`,
    ofTypes(types),
    ...(asked === undefined
      ? []
      : ['own' in asked ? `ExecutionStatus IN (${asked.own.map(quoted).join(', ')})` : asked.told]),
    ...(text === undefined ? [] : [`WorkflowId STARTS_WITH ${quoted(text)}`]),
    ...(from === undefined ? [] : [`StartTime >= ${quoted(`${from}T00:00:00Z`)}`]),
    ...(to === undefined ? [] : [`StartTime <= ${quoted(`${to}T23:59:59.999Z`)}`]),
  ].join(' AND ');
}

/** The part of a query that asks for runs of these workflow types alone. */
export function ofTypes(types: readonly string[]): string {
  return `WorkflowType IN (${types.length === 0 ? `''` : types.map(quoted).join(', ')})`;
}

/** How long it is believed what a namespace has, in milliseconds. */
const believedFor = 60_000;

const known = new WeakMap<Session['client'], { readonly at: number; readonly has: Promise<boolean> }>();

/** Whether runs publish their state in this namespace: whether it has the search attribute. */
function publishesStatus({ client }: Session): Promise<boolean> {
  const found = known.get(client);
  if (found && performance.now() - found.at < believedFor) return found.has;
  const has = client.connection.operatorService
    .listSearchAttributes({ namespace: client.options.namespace })
    .then(
      ({ customAttributes }) => Object.hasOwn(customAttributes ?? {}, published),
      // Who may not ask gets the groups that Temporal itself knows.
      () => false,
    );
  known.set(client, { at: performance.now(), has });
  return has;
}
