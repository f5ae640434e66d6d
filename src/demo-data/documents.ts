import type pg from 'pg';
import { listTicketKeys } from '../stubs/legacy-api/directory.ts';
import { defaultSeed, fillDatabase, inBatches, refuseImpossibleCount } from './database.ts';

/** What to fill the source database with. */
export interface DemoDocumentsOptions {
  sourceDatabaseUrl: string;
  /** Documents to make; with `from` the most to take of the directory, all of them when left out. */
  count?: number;
  /** The same seed gives the same rows. @default 'keystride' */
  seed?: string | number;
  /** A directory whose text files become the documents, under the keys that the stub of the legacy API uses. */
  from?: string;
  /** Empties the tables first. @default false */
  reset?: boolean;
  /** The share, 0 to 1, of documents that are preprocessed already and so no targets. @default 0 */
  preprocessedShare?: number;
  /** Called after each batch with the documents done and to do. */
  onProgress?: (done: number, total: number) => void;
}

/** What the tables hold afterwards, rows that were there before included. */
export interface DemoDocuments {
  documents: number;
  /** Documents that have no preprocess_document: what targetSync copies. */
  targets: number;
}

/**
 * Fills `legacy_document` of the source database, and `preprocess_document` for a share of it.
 *
 * Ticket keys are `T-0000001` and on, or the paths of the files. Doing it again adds nothing that is there;
 * a larger count adds the rest. Rows are made by the database, a batch a statement, each its own transaction.
 *
 * @throws Error when an option is out of range, when the directory has no text file, and when the tables do
 *   not exist; names the database without credentials
 */
export async function createDemoDocuments(options: DemoDocumentsOptions): Promise<DemoDocuments> {
  refuseImpossible(options);
  const { count, from } = options;
  const keys = from === undefined ? undefined : (await listTicketKeys(from)).slice(0, count);
  return fillDatabase('the source database', options.sourceDatabaseUrl, (client) =>
    fill(client, options, keys),
  );
}

function refuseImpossible({ count, from, preprocessedShare = 0 }: DemoDocumentsOptions): void {
  if (count === undefined && from === undefined) {
    throw new Error('Say how many documents to make (count), or name a directory to take them from (from)');
  }
  if (count !== undefined) refuseImpossibleCount(count, 'documents');
  if (!(preprocessedShare >= 0 && preprocessedShare <= 1)) {
    throw new Error(`The share of preprocessed documents must be from 0 to 1, not ${preprocessedShare}`);
  }
}

async function fill(
  client: pg.Client,
  options: DemoDocumentsOptions,
  keys: readonly string[] | undefined,
): Promise<DemoDocuments> {
  const { seed = defaultSeed, preprocessedShare = 0, onProgress } = options;
  const total = keys?.length ?? options.count ?? 0;
  if (options.reset === true) {
    await client.query('truncate public.legacy_document, public.preprocess_document restart identity');
  }
  const insert = (first: number, last: number) => {
    const tickets =
      keys === undefined ? numberedTickets(first, last) : fileTickets(keys.slice(first - 1, last));
    return insertDocuments(client, tickets, String(seed), preprocessedShare);
  };
  await inBatches(total, insert, onProgress);
  // A plan made for an empty table would read a million rows by nested loops.
  await client.query('analyze public.legacy_document, public.preprocess_document');
  return countDocuments(client);
}

/** A query for (place, ticket_key, document_name), with its parameters from $3 on. */
interface Tickets {
  sql: string;
  parameters: unknown[];
}

function numberedTickets(first: number, last: number): Tickets {
  return {
    sql: `
      select n as place,
             'T-' || lpad(n::text, greatest(7, length(n::text)), '0') as ticket_key,
             (array['Thesis', 'Essay', 'Report', 'Article', '과제', 'Résumé'])
               [1 + (hashint8extended(n, 7) & 1023) % 6] || ' ' || n || '.docx' as document_name
        from generate_series($3::bigint, $4::bigint) as n`,
    parameters: [first, last],
  };
}

function fileTickets(keys: readonly string[]): Tickets {
  return {
    sql: `
      select place, ticket_key, regexp_replace(ticket_key, '^.*/', '') as document_name
        from unnest($3::text[]) with ordinality as file (ticket_key, place)`,
    parameters: [keys],
  };
}

/**
 * Everything random is a hash of the ticket key and the seed: members 1 to 100,000, uploads at any microsecond
 * of ten years.
 */
async function insertDocuments(
  client: pg.Client,
  tickets: Tickets,
  seed: string,
  preprocessedShare: number,
): Promise<void> {
  await client.query(
    `with ticket as (${tickets.sql}),
     document as (
       select place, ticket_key, document_name,
              1 + (hashtextextended('member ' || ticket_key, seed) & 2147483647) % 100000 as member_id,
              timestamptz '2015-01-01 00:00:00Z'
                + ((hashtextextended('upload ' || ticket_key, seed) & 9007199254740991) % 315360000000000)
                  * interval '1 microsecond' as uploaded_at,
              (hashtextextended('preprocessed ' || ticket_key, seed) & 2147483647) / 2147483648.0 as position
         from ticket, hashtextextended($1::text, 0) as seed
     ),
     preprocessed as (
       insert into public.preprocess_document (ticket_key)
       select ticket_key from document where position < $2::float8 order by place
       on conflict (ticket_key) do nothing
     )
     insert into public.legacy_document (ticket_key, member_id, document_name, uploaded_at, updated_at)
     select ticket_key, member_id, document_name, uploaded_at, uploaded_at from document order by place
     on conflict (ticket_key) do nothing`,
    [seed, preprocessedShare, ...tickets.parameters],
  );
}

async function countDocuments(client: pg.Client): Promise<DemoDocuments> {
  const { rows } = await client.query<{ documents: string; targets: string }>(
    `select count(*) as documents, count(*) filter (where p.ticket_key is null) as targets
       from public.legacy_document d left join public.preprocess_document p using (ticket_key)`,
  );
  return { documents: Number(rows[0]?.documents), targets: Number(rows[0]?.targets) };
}
