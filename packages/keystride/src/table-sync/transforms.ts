import { createHash } from 'node:crypto';
import pg from 'pg';
import { type RawBuilder, sql } from 'kysely';
import type { ParametersOf } from '../contract/job.ts';
import { unquoted } from '../contract/parameters.ts';
import { pairOf, type tableSync } from './contract.ts';
import { columnIn } from '../stores/postgres/sql.ts';
import { columnOf, invalid, type TableDescription } from './tables.ts';

type Transforms = Pick<
  ParametersOf<typeof tableSync>,
  'columns' | 'drop' | 'rename' | 'cast' | 'mask' | 'timestamp'
>;

/** A column on its way from the source to the sink. */
export interface Travelling {
  readonly from: string;
  readonly to: string;
  /** What is read: the value as text, or what stands for it. */
  readonly text: RawBuilder<string | null>;
  /** A type that the text is converted to before it becomes the sink's. */
  readonly via: string | undefined;
  /** What is read stands for the value, and is a text whatever that was. */
  readonly masked: boolean;
  /** The transforms that were declared for it: another text when they are others. It tells no masked text. */
  readonly how: string;
}

/**
 * Applies the declared transforms. Masks are computed by the source's database: what they hide never leaves it.
 *
 * @param key the columns that rows are read by; they stand in the ledger and in logs, so they cannot be masked.
 * @throws JobParametersInvalid
 */
export function travelling(
  source: TableDescription,
  key: readonly string[],
  { columns, drop, rename, cast, mask }: Transforms,
): Travelling[] {
  const renamed = pairsOf(source, rename);
  const casts = pairsOf(source, cast);
  const masks = pairsOf(source, mask);
  for (const name of [...columns, ...drop]) columnOf(source, name);
  const masked = key.find((name) => masks.has(name));
  if (masked) throw invalid(`column ${masked} of ${source.table} is read by, and a key cannot be masked`);
  const taken = source.columns
    .map(({ name }) => name)
    .filter((name) => (columns.length === 0 || columns.includes(name)) && !drop.includes(name));
  const travellers = taken.map((from) => ({
    from,
    to: unquoted(renamed.get(from) ?? from),
    text: textOf(source, from, masks.get(from)),
    via: casts.get(from),
    masked: masks.has(from),
    how: transformOf(casts.get(from), masks.get(from)),
  }));
  const twice = travellers.find(({ to }, index) =>
    travellers.slice(index + 1).some((other) => other.to === to),
  );
  if (twice) throw invalid(`two columns of ${source.table} would be written to ${twice.to}`);
  return travellers;
}

function transformOf(cast: string | undefined, mask: string | undefined): string {
  const text = JSON.stringify([cast ?? null, mask ?? null]);
  return cast === undefined && mask === undefined ? '' : createHash('sha256').update(text).digest('hex');
}

function pairsOf(source: TableDescription, pairs: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    pairs.map((pair) => {
      const [name, value] = pairOf(pair);
      return [columnOf(source, name).name, value] as const;
    }),
  );
}

function textOf(
  { table }: TableDescription,
  name: string,
  mask: string | undefined,
): RawBuilder<string | null> {
  const column = columnIn(table, name);
  if (mask === undefined) return sql<string | null>`${column}::text`;
  if (mask === 'hash') return sql`encode(sha256(convert_to(${column}::text, 'UTF8')), 'hex')`;
  if (!mask.startsWith('fixed:'))
    throw invalid(`${name}:${mask}, for ${table}, is no mask: hash, or fixed:text`);
  const fixed = sql.raw(pg.escapeLiteral(mask.slice('fixed:'.length)));
  return sql`case when ${column} is not null then ${fixed} end`;
}
