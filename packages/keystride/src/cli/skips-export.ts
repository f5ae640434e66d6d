import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { sql } from 'kysely';
import type pg from 'pg';
import { csvLine } from './csv.ts';
import { jsonText } from './output.ts';
import type { SkipsOptions } from './skips.ts';
import { findInstance, skipsOf, withLedger } from './skips-ledger.ts';

/** Rows fetched at a time: what is in memory, however many there are. */
const atATime = 1_000;

const columns = [
  'instance',
  'step',
  'key',
  'phase',
  'code',
  'fingerprint',
  'message',
  'partition',
  'attempts',
  'status',
  'at',
  'settledAt',
  'settledBy',
  'reason',
] as const;

type ExportedSkip = Readonly<Record<(typeof columns)[number], string | number | null>>;

/** `keystride skips ID export`: every skip, as it stood at one moment, to stdout. */
export async function exportSkips(id: string, options: SkipsOptions): Promise<void> {
  await withLedger(async (client) => {
    await client.query('begin transaction isolation level repeatable read read only');
    const rows = readRows(client, await findInstance(client, id), options);
    const lines = options.output === 'json' ? jsonLines(rows) : csvLines(rows);
    // Waits for a reader that is slower than the ledger, and leaves stdout open.
    await pipeline(Readable.from(lines), process.stdout, { end: false });
  });
}

async function* csvLines(rows: AsyncIterable<ExportedSkip>): AsyncGenerator<string> {
  yield csvLine(columns);
  for await (const row of rows) yield csvLine(columns.map((column) => row[column]));
}

async function* jsonLines(rows: AsyncIterable<ExportedSkip>): AsyncGenerator<string> {
  for await (const row of rows) yield `${jsonText(row)}\n`;
}

async function* readRows(
  client: pg.Client,
  instance: string,
  options: SkipsOptions,
): AsyncGenerator<ExportedSkip> {
  const { sql: text, parameters } = skipsOf(instance, options)
    .select([
      'instance_key as instance',
      'step',
      'item_key as key',
      'phase',
      'code',
      'fingerprint',
      'message',
    ])
    .select(['partition', 'attempts', 'status', isoTime('created_at').as('at')])
    .select([isoTime('settled_at').as('settledAt'), 'settled_by as settledBy', 'reason'])
    .orderBy('step')
    .orderBy('item_key')
    .orderBy('phase')
    .compile();
  await client.query(`declare exported no scroll cursor for ${text}`, [...parameters]);
  for (;;) {
    const { rows } = await client.query<ExportedSkip>(`fetch ${atATime} from exported`);
    yield* rows;
    if (rows.length < atATime) return;
  }
}

function isoTime(column: 'created_at' | 'settled_at') {
  return sql<string | null>`to_char(${sql.ref(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}
