import type pg from 'pg';
import { presentLevel } from '../contract/level.ts';
import { hiddenTables, longestInstance, rightsOn, showLedger } from '../ledger/inspect.ts';
import { Ledger } from '../ledger/ledger.ts';
import { readLevel } from '../ledger/level.ts';
import { type MigrationSet, pendingMigrations } from '../ledger/migrate.ts';
import { keystride } from '../operator/called-as.ts';
import { duration } from '../operator/format.ts';
import { bad, type Finding, ok, warn } from '../operator/finding.ts';

/** Whether the ledger is there and of this release. */
export async function ledgerMigrations(pool: pg.Pool): Promise<Finding> {
  const pending = await pendingMigrations(pool);
  return pending.length === 0
    ? ok('migrations', 'the ledger is up to date')
    : bad('migrations', `the ledger lacks ${pending.join(', ')}`, `Run: ${keystride} migrate`);
}

/** Whether runs still keep to what workers of an earlier release can go on with. */
export async function ledgerLevel(pool: pg.Pool): Promise<Finding> {
  if ((await readLevel(new Ledger(pool))) >= presentLevel)
    return ok('level', 'no worker of an earlier release is reckoned with');
  return warn(
    'level',
    'workers of an earlier release are reckoned with: a short run costs Temporal twice the events it needs',
    `When the last of them has ended, and before workers start again: ${keystride} migrate --no-older-workers`,
  );
}

/** Whether the tables of the project are up to date, as far as keystride makes them. */
export async function projectMigrations(pool: pg.Pool, set: MigrationSet): Promise<Finding> {
  const pending = await pendingMigrations(pool, set);
  return pending.length === 0
    ? ok('migrations', `${set.name} is up to date`)
    : bad(
        'migrations',
        `${set.name} lacks ${pending.join(', ')}`,
        `Run: ${keystride} migrate --only ${set.name}`,
      );
}

/** What the role of a worker may do with the ledger. */
export async function ledgerGrants(pool: pg.Pool): Promise<Finding> {
  const { role, missing, mayMigrate } = await rightsOn(new Ledger(pool));
  if (missing.length > 0) {
    const shown = missing.slice(0, 4).join(', ');
    const more = missing.length > 4 ? ` and ${missing.length - 4} more` : '';
    return bad(
      'grants',
      `${role} lacks rights on the ledger: ${shown}${more}`,
      `As the owner of the ledger: GRANT USAGE ON SCHEMA keystride TO ${role}; ` +
        `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA keystride TO ${role}`,
    );
  }
  const hidden = await hiddenTables(new Ledger(pool));
  if (hidden !== null)
    return bad('grants', `row security may hide rows of the ledger from ${role}, in ${hidden}`, showLedger);
  const can = mayMigrate
    ? 'and may migrate it'
    : `and may not migrate it: its owner calls \`${keystride} migrate\``;
  return ok('grants', `${role} reads and writes the ledger, ${can}`);
}

/**
 * Temporal forgets a history when its retention is over, the first ones of a run that continues while it still goes on.
 *
 * @param seconds how long Temporal keeps what has closed
 */
export async function retentionOf(pool: pg.Pool, seconds: number, namespace: string): Promise<Finding> {
  const longest = await longestInstance(new Ledger(pool));
  const kept = duration(seconds * 1000);
  if (longest === null || longest.seconds < seconds)
    return ok(
      'retention',
      `namespace ${namespace} keeps histories for ${kept}, longer than any run has taken`,
    );
  return warn(
    'retention',
    `namespace ${namespace} keeps histories for ${kept}, and ${longest.instance} took ${duration(longest.seconds * 1000)}`,
    `Keep them longer: temporal operator namespace update --retention ${Math.ceil(longest.seconds / 86_400) + 1}d ${namespace}`,
  );
}
