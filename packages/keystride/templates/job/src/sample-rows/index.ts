import type pg from 'pg';

/** A connection, or a pool of them. */
export type Database = Pick<pg.Pool, 'query'>;
