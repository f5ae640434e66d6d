import pg from 'pg';
import type { LogState } from '../ledger/log.ts';
import { type LogPosition, positionText } from '../stores/postgres/log-position.ts';
import { withClient } from './copies.ts';
import type { Comparison } from './effects.ts';

/** What is under a key from a change on; null where nothing is. */
interface RowState {
  readonly key: string;
  readonly content: string | null;
}

/** A transaction that was noted, and a place of the log: of the source below its commit, of the sink where it has moved to. */
interface Noted {
  readonly place: bigint;
  /** Of the sink: what it had before was of one moment. */
  readonly settled: boolean;
  readonly rows: RowState[];
}

interface NotedSide {
  readonly transactions: readonly Noted[];
  /** Numbers of tables that had rows before anything was noted. */
  readonly filled: ReadonlySet<number>;
}

/**
 * Compares what was noted on both sides of a stream, commit by commit: after each transaction that has moved the position of
 * a sink which was of one moment, the sink must have what the source had at that position, and no other row was written. So
 * each transaction of the source was applied whole, once, and in order. Columns that are converted are left out.
 */
export async function compareStream(
  source: string,
  sink: string,
  { seen }: Pick<LogState, 'seen'>,
): Promise<Comparison> {
  const from = await withClient(source, (client) => readNoted(client, seen, 'source'));
  const to = await withClient(sink, (client) => readNoted(client, seen, 'sink'));
  const found: States = new Map();
  const total = { lost: 0, doubled: 0 };
  const differences: string[] = [];
  let applied = 0;
  for (const { place, settled, rows } of to.transactions) {
    for (const { key, content } of rows) found.set(key, content);
    if (!settled) continue;
    const next = from.transactions.slice(applied).findIndex((one) => one.place > place);
    const upTo = next < 0 ? from.transactions.length : applied + next;
    const compare = (end: number) => {
      const expected: States = new Map();
      for (const one of from.transactions.slice(applied, end))
        for (const { key, content } of one.rows) expected.set(key, content);
      return {
        ...{ end, lost: [...expected].filter((one) => !isThere(one, found, to.filled)).length },
        doubled: rows.filter(({ key }) => !expected.has(key)).length,
      };
    };
    // The last one may commit a little above the place: then nothing of it is there.
    const [whole, without] = [compare(upTo), compare(Math.max(applied, upTo - 1))];
    const { end, lost, doubled } = isWrong(whole) && !isWrong(without) ? without : whole;
    applied = end;
    total.lost += lost;
    total.doubled += doubled;
    if (lost + doubled > 0)
      differences.push(
        `at ${positionText(place as LogPosition)} of the log: ${lost} rows not as in the source, ${doubled} written that it did not write`,
      );
  }
  const left = from.transactions.length - applied;
  if (left > 0) differences.push(`${left} transactions of the source were not applied`);
  return { lost: total.lost + left, doubled: total.doubled, differences };
}

type States = Map<string, string | null>;

function isWrong({ lost, doubled }: { readonly lost: number; readonly doubled: number }): boolean {
  return lost + doubled > 0;
}

function isThere(
  [key, content]: readonly [string, string | null],
  found: ReadonlyMap<string, string | null>,
  filled: NotedSide['filled'],
): boolean {
  const there = found.get(key);
  // What a table had before nobody has noted.
  if (there === undefined && filled.has(Number.parseInt(key, 10))) return true;
  return (there ?? null) === content;
}

const transactionsOf = {
  source: `SELECT number AS id, (above - '0/0')::text AS place, true AS settled FROM keystride_prove.transaction`,
  sink: `SELECT moment AS id, (place - '0/0')::text AS place,
                settled AND NOT EXISTS (SELECT FROM keystride_prove.unsettled AS noted
                                         WHERE noted.transaction = move.transaction) AS settled
           FROM keystride_prove.move`,
};

/** Of the sink, what a transaction has written comes after it has moved the position; the copy moves none. */
const idOfRow = {
  source:
    '(SELECT number FROM keystride_prove.transaction AS ended WHERE ended.transaction = row.transaction)',
  sink: '(SELECT max(moment) FROM keystride_prove.move WHERE move.moment < row.moment)',
};

async function readNoted(
  client: pg.Client,
  seen: LogState['seen'],
  side: 'source' | 'sink',
): Promise<NotedSide> {
  const tables = Object.values(seen);
  const { rows: ended } = await client.query<{ id: string; place: string; settled: boolean }>(
    `${transactionsOf[side]} ORDER BY id`,
  );
  const known = new Map(
    ended.map(({ id, place, settled }): [string, Noted] => [id, { place: BigInt(place), settled, rows: [] }]),
  );
  const first: Noted = { place: 0n, settled: false, rows: [] };
  const { rows } = await client.query<{
    id: string | null;
    before: string | null;
    after: string | null;
    content: string;
  }>(`${tables.map((table, number) => rowsOf(table, number, side)).join(' UNION ALL ')} ORDER BY moment`);
  for (const { id, before, after, content } of rows) {
    const noted = (id === null ? undefined : known.get(id)) ?? first;
    if (before !== null && before !== after) noted.rows.push({ key: before, content: null });
    if (after !== null) noted.rows.push({ key: after, content });
  }
  const { rows: filled } = await client.query<{ oid: string }>(
    'SELECT relation::text AS oid FROM keystride_prove.filled',
  );
  return {
    transactions: [first, ...known.values()],
    filled: new Set(filled.map(({ oid }) => tables.findIndex((table) => table[side] === oid))),
  };
}

function rowsOf(table: LogState['seen'][string], number: number, side: 'source' | 'sink'): string {
  const nameOf = ({ forms, to }: (typeof table.columns)[number]) =>
    pg.escapeLiteral((side === 'source' ? forms.at(-1)?.[0] : to?.name) ?? '');
  const key = table.columns.filter((column) => table.key.includes(column.number)).map(nameOf);
  const copied = table.columns.filter(({ to }) => to?.how === '').map(nameOf);
  const texts = (row: string, names: readonly string[]) =>
    `CASE WHEN ${row} IS NOT NULL THEN jsonb_build_array(${names.map((name) => `${row} ->> ${name}`).join(', ')})::text END`;
  return `SELECT moment, ${idOfRow[side]}::text AS id, '${number} ' || ${texts('before', key)} AS before,
                 '${number} ' || ${texts('after', key)} AS after, md5(${texts('after', copied)}) AS content
            FROM keystride_prove.row WHERE relation = ${pg.escapeLiteral(table[side])}::oid`;
}
