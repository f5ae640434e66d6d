import type pg from 'pg';
import type { TableShape } from '../stores/postgres/table-shape.ts';
import { invalid } from './tables.ts';

/** A table and its copy. */
export interface CopiedTables {
  readonly source: { readonly pool: pg.Pool; readonly table: string };
  readonly sink: { readonly pool: pg.Pool; readonly table: string };
  readonly columns: readonly CopiedColumn[];
}

export interface CopiedColumn {
  readonly from: string;
  readonly to: string;
  /** What is done to it on its way, as a text that is another one when that is. */
  readonly how: string;
}

/** @throws JobParametersInvalid for a sink that a crash of its database empties, while the offset stays. */
export function refuseUnlogged(table: string, { members }: TableShape): void {
  const found = Object.values(members).find(({ unlogged }) => unlogged);
  if (found)
    throw invalid(
      `the sink ${table} is unlogged (${found.name}): a crash of its database empties it, and nobody would know. ` +
        `Make it durable: ALTER TABLE ${found.name} SET LOGGED`,
    );
}

/** @throws JobParametersInvalid where row versions do not say which transaction wrote them. */
export function refuseUnsweepable(table: string, { members }: TableShape): void {
  for (const { name, kind, method } of Object.values(members)) {
    const why =
      kind === 'f'
        ? 'is a foreign table'
        : method !== null && method !== 'heap'
          ? `is stored as ${method}`
          : '';
    if (why !== '')
      throw invalid(
        `${name}, of the source ${table}, ${why}: rows of it that commit late cannot be found. Use mode=bulk`,
      );
  }
}
