import type pg from 'pg';
import type { Resource } from './worker-definition.ts';
import { postgresUrl } from '../settings/environment.ts';
import { readHealth } from '../stores/postgres/health.ts';
import { createPool } from '../stores/postgres/pool.ts';
import { WalAge } from '../stores/postgres/wal-age.ts';

/**
 * A database of PostgreSQL as a resource of a worker: a pool whose sessions write and read values in one way. Where the
 * environment sets limits of health, its pages wait for it too.
 *
 * @param options.variable names its address: `SOURCE_DATABASE_URL`.
 * @param options.title what people call it: `the source database`.
 * @param options.connections the most that a worker opens. @default `KEYSTRIDE_CONNECTIONS`
 */
export function postgres<const Variable extends string>(options: {
  readonly variable: Variable;
  readonly title: string;
  readonly connections?: number;
}): Resource<pg.Pool, Readonly<Record<Variable, typeof postgresUrl>>> {
  const { variable, title, connections } = options;
  return {
    title,
    variables: { [variable]: postgresUrl } as Readonly<Record<Variable, typeof postgresUrl>>,
    open: (values, context) => createPool(values[variable], 'keystride', connections ?? context.connections),
    check: (pool) => pool.query('SELECT'),
    health: (pool) => {
      const written = new WalAge();
      return (limits) => readHealth(pool, limits, written);
    },
    close: (pool) => pool.end(),
  };
}
