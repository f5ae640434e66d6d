import { failure } from './errors.ts';

/** What a ledger keeps. An instance goes when it is older than its age, and no longer among the newest of its job. */
export interface Retention {
  /** Ended so many days ago. */
  readonly olderThanDays: number;
  /** Instances kept of each job, however old they are. */
  readonly keep: number;
  /** Of entries of the audit, in days. */
  readonly auditOlderThanDays: number;
  /** Only what belongs to these jobs. @default all */
  readonly jobs?: readonly string[] | undefined;
  /** Instances with open skips go too: those can neither be redriven nor waived any more. @default false */
  readonly openSkips?: boolean | undefined;
}

/** What a ledger keeps where nothing else is said. */
export const usualRetention: Retention = { olderThanDays: 90, keep: 100, auditOlderThanDays: 365 };

/** The workflow type that prunes, and the id of its schedule. */
export const pruneType = 'prune';

/** What has been given up, in rows. */
export interface Pruned {
  readonly instances: number;
  readonly partitions: number;
  readonly skips: number;
  readonly deadLetters: number;
  readonly audit: number;
}

export const nothingPruned: Pruned = { instances: 0, partitions: 0, skips: 0, deadLetters: 0, audit: 0 };

/** Adds what was given up. */
export function addPruned(one: Pruned, other: Pruned): Pruned {
  return {
    instances: one.instances + other.instances,
    partitions: one.partitions + other.partitions,
    skips: one.skips + other.skips,
    deadLetters: one.deadLetters + other.deadLetters,
    audit: one.audit + other.audit,
  };
}

/**
 * A retention as somebody gives it, who may have written the schedule by hand, with what is usual for the rest.
 *
 * @throws JobParametersInvalid naming what is wrong: a figure that is misread deletes what was to be kept.
 */
export function retentionOf(given: unknown): Retention {
  const known = [...Object.keys(usualRetention), 'jobs', 'openSkips'];
  const input = given ?? {};
  if (typeof input !== 'object') throw wrong('it takes an object');
  const unknown = Object.keys(input).find((name) => !known.includes(name));
  if (unknown !== undefined) throw wrong(`${unknown} is not one of ${known.join(', ')}`);
  const retention = { ...usualRetention, ...(input as Partial<Retention>) };
  const { olderThanDays, keep, auditOlderThanDays, jobs, openSkips } = retention;
  const isAge = (days: unknown) => typeof days === 'number' && days >= 0 && days <= 36_500;
  if (!isAge(olderThanDays)) throw wrong('olderThanDays must be a number from 0 to 36500');
  if (!isAge(auditOlderThanDays)) throw wrong('auditOlderThanDays must be a number from 0 to 36500');
  if (!Number.isSafeInteger(keep) || keep < 0) throw wrong('keep must be a whole number');
  if (openSkips !== undefined && typeof openSkips !== 'boolean')
    throw wrong('openSkips must be true or false');
  const isNames = Array.isArray(jobs) && jobs.length > 0 && jobs.every((job) => typeof job === 'string');
  if (jobs !== undefined && !isNames) throw wrong('jobs must be a list of names');
  return retention;
}

function wrong(what: string) {
  return failure('JobParametersInvalid', `the retention is wrong: ${what}. Nothing was pruned.`);
}
