import type { Db } from 'mongodb';
import type pg from 'pg';
import type { IgnoredColumns } from './columns.ts';
import { skipContents } from '../ledger/skip-list.ts';
import { writesTable } from './audit.ts';
import { visit, withClient } from './copies.ts';
import { patiently } from './patience.ts';

/** Everything that a run has left behind: place → content → how often. Contents are hashes. */
export type Effects = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** How the effects of a run differ from those of the run without faults. */
export interface Comparison {
  /** Rows and documents that are not there. */
  readonly lost: number;
  /** Rows and documents too many, and writes of a row beyond those of the run without faults. */
  readonly doubled: number;
  /** One line a place. */
  readonly differences: readonly string[];
}

/**
 * Reads what a run has left: the rows of all audited tables, every committed write to them, the skips, and the
 * documents of all collections.
 *
 * @param mongo undefined for a project without MongoDB
 */
export async function readEffects(
  databaseUrl: string,
  mongo: Db | undefined,
  ignored: IgnoredColumns,
  since: Date,
): Promise<Effects> {
  // Not every project has the driver.
  const { readCollections } = mongo ? await import('./collections.ts') : {};
  return new Map([
    ...(await withClient(databaseUrl, (client) => readTables(client, ignored))),
    ['skips', bagFrom(await visit(databaseUrl, skipContents))],
    ...((mongo && (await patiently(async () => readCollections?.(mongo, since)))) ?? []),
  ]);
}

/** Compares place by place, as bags: neither order nor generated keys matter. */
export function compareEffects(expected: Effects, found: Effects): Comparison {
  let lost = 0;
  let doubled = 0;
  const differences: string[] = [];
  for (const place of new Set([...expected.keys(), ...found.keys()])) {
    const missing = surplus(expected.get(place), found.get(place));
    const extra = surplus(found.get(place), expected.get(place));
    if (missing + extra === 0) continue;
    lost += missing;
    doubled += extra;
    differences.push(`${place}: ${missing} missing, ${extra} too many`);
  }
  return { lost, doubled, differences };
}

function surplus(of: ReadonlyMap<string, number> = new Map(), over: ReadonlyMap<string, number> = new Map()) {
  let sum = 0;
  for (const [content, count] of of) sum += Math.max(0, count - (over.get(content) ?? 0));
  return sum;
}

async function readTables(
  client: pg.Client,
  ignored: IgnoredColumns,
): Promise<Map<string, Map<string, number>>> {
  const effects = new Map<string, Map<string, number>>();
  for (const [table, columns] of ignored) {
    const rows = `SELECT md5((to_jsonb(row) - $1::text[])::text) AS content, count(*)::int AS count
                    FROM ${table} AS row GROUP BY 1`;
    effects.set(`table ${table}`, await bagOf(client, rows, [columns]));
    const writes = `SELECT operation || md5((content - $1::text[])::text) AS content, count(*)::int AS count
                      FROM ${writesTable} WHERE relation = $2 GROUP BY 1`;
    effects.set(`writes to ${table}`, await bagOf(client, writes, [columns, table]));
  }
  return effects;
}

async function bagOf(client: pg.Client, text: string, values: unknown[]): Promise<Map<string, number>> {
  const { rows } = await client.query<{ content: string; count: number }>(text, values);
  return bagFrom(rows);
}

function bagFrom(rows: readonly { content: string; count: number }[]): Map<string, number> {
  return new Map(rows.map(({ content, count }) => [content, count]));
}
