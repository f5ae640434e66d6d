import { rmSync } from 'node:fs';
import path from 'node:path';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { runJob, type Bench } from '../bench.ts';
import type { Contest } from '../contest.ts';

const documents = 1_100_000;
const preprocessedShare = 1 / 11;
const partitions = 4;

/** `COPY` of one server process piped into that of another with an upsert, and our jobs over the same rows. */
export type SyncWay = 'copy' | 'targetSync' | 'tableSync';

/** Documents of which about a million are targets, and those once more as a table of their own. */
export async function makeDocuments({ config, service, note }: Bench): Promise<void> {
  note(`  making ${documents} documents`);
  const { sourceDatabaseUrl } = config;
  await createDemoDocuments({ sourceDatabaseUrl, count: documents, preprocessedShare, reset: true });
  await service.query(`create table bench_target as select ${columns} from (${targets}) as target`);
  await service.query('alter table bench_target add primary key (ticket_key)');
  await service.query('analyze bench_target');
}

/** Gives the space back. */
export async function forgetDocuments({ service, database }: Bench): Promise<void> {
  await service.query('drop table if exists bench_target');
  await service.query('truncate legacy_document, preprocess_document');
  await database.query('truncate migration_target');
}

/** What the JDBC connector of Kafka Connect, where it is the peer, can copy too: it cuts times to milliseconds. */
export const columnsWithoutTimes = 'ticket_key, member_id, document_name';

/** Copying about a million rows from one database into another. */
export function syncContest(bench: Bench): Contest<SyncWay> {
  const table = { source: 'bench_target', sink: 'migration_target' };
  return {
    prepare: () => emptyTarget(bench),
    check: () => refuseOtherTarget(bench),
    ways: {
      copy: () => byCopy(bench),
      targetSync: (round) =>
        runJob(bench, 'targetSync', { partitions, run: round + 1 }, `targetSync ${round}`),
      tableSync: (round) =>
        runJob(bench, 'tableSync', { ...table, partitions, run: round + 1 }, `tableSync ${round}`),
    },
  };
}

const columns = 'ticket_key, member_id, document_name, uploaded_at';

const targets = `select legacy_document.* from legacy_document left join preprocess_document using (ticket_key)
  where preprocess_document.id is null`;

/** An empty target. */
async function emptyTarget({ database }: Bench): Promise<void> {
  await database.query('truncate migration_target restart identity');
  await database.query('checkpoint');
}

/** @throws Error when a row is missing, or these columns are not as they are in the source */
export async function refuseOtherTarget({ service, database }: Bench, compared = columns): Promise<void> {
  const hash = `select count(*) || ' ' || sum(hashtextextended(concat_ws('|', ${compared}), 0)) as hash from`;
  const [wanted, found] = await Promise.all([
    service.query<{ hash: string }>(`${hash} bench_target`),
    database.query<{ hash: string }>(`${hash} migration_target`),
  ]);
  if (wanted.rows[0]?.hash !== found.rows[0]?.hash)
    throw new Error(`the target is not as its source: ${found.rows[0]?.hash}, not ${wanted.rows[0]?.hash}`);
}

/** Copies all targets by `COPY`. */
function byCopy(bench: Bench): Promise<void> {
  return copyBetween(bench, {
    rows: `select ${columns} from (${targets}) as target`,
    like: `select ${columns} from migration_target`,
    upsert: `insert into migration_target (${columns}) select ${columns} from arrived on conflict (ticket_key) do update
        set member_id = excluded.member_id, document_name = excluded.document_name, uploaded_at = excluded.uploaded_at`,
  });
}

/**
 * One server process writes into a pipe what another reads from it, into a table `arrived`: no client stands between.
 *
 * @param copied.like a query with the columns of `rows`, in the database that is written to.
 * @param copied.upsert what is done with all that has arrived.
 */
export async function copyBetween(
  { service, database, directory }: Bench,
  { rows, like, upsert }: Readonly<Record<'rows' | 'like' | 'upsert', string>>,
): Promise<void> {
  const pipe = path.join(directory, 'pipe');
  await service.query(`copy (select where false) to program 'mkfifo -m 666 ${pipe}'`);
  try {
    await database.query('begin');
    await database.query(`create temp table arrived on commit drop as ${like} with no data`);
    await Promise.all([
      service.query(`copy (${rows}) to '${pipe}'`),
      database.query(`copy arrived from '${pipe}'`),
    ]);
    await database.query(upsert);
    await database.query('commit');
  } finally {
    rmSync(pipe, { force: true });
  }
}
