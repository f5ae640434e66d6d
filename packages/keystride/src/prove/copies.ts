import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { withoutCredentials } from '../settings/environment.ts';
import { PartError } from '../dev/part.ts';
import type { Project } from '../project/project.ts';
import { forgetInstance } from '../ledger/executions.ts';
import { type Ledger, visitLedger } from '../ledger/ledger.ts';
import { giveOtherId } from '../ledger/log.ts';
import { migrateLedger } from '../ledger/migrate.ts';
import { noteMoves } from '../ledger/noted-moves.ts';
import { databaseOf, databaseOn } from '../stores/postgres/database-url.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { noteWrites } from './audit.ts';
import { noteRows, noteTransactions } from './stream-notes.ts';
import { patiently } from './patience.ts';
import { SessionClient } from '../stores/postgres/session.ts';
import { hostsOf } from '../stores/postgres/address.ts';
import { freeSlot } from '../stores/postgres/replication-slot.ts';

/** Data to work on: databases of the user, or what the project fills empty ones with. */
export interface DataSource {
  /** The target, `DATABASE_URL`: it is copied and never written to. */
  readonly databaseUrl?: string;
  /** The source, `SOURCE_DATABASE_URL`. */
  readonly sourceDatabaseUrl?: string;
  /** About so many rows to make where no database is named. */
  readonly rows: number;
  /** The log of the source is followed: each run has a source of its own, which is written to meanwhile. @default false */
  readonly followed?: boolean;
}

const objectInUse = '55006';
const insufficientPrivilege = '42501';

/** The copies of the data that runs work on. */
export class Copies {
  /** The copy of the source database: one for all runs that only read it, else what theirs are copied from. */
  readonly sourceUrl: string;
  /** The copy of the target database that all others are made from; nobody else connects to it. */
  readonly #templateUrl: string;
  readonly #made = new Set<string>();

  private constructor(templateUrl: string, sourceUrl: string) {
    this.#templateUrl = templateUrl;
    this.sourceUrl = sourceUrl;
  }

  /**
   * Prepares the data: copies what the user has named, else has the project fill empty databases.
   *
   * @param own the databases of our own server, for what the user has not named
   * @throws PartError when a database of the user cannot be copied
   */
  static async prepare(
    { config }: Pick<Project, 'config'>,
    data: DataSource,
    own: { readonly databaseUrl: string; readonly sourceDatabaseUrl: string },
    instance: string,
  ): Promise<Copies> {
    refuseSeveralHosts(data.sourceDatabaseUrl, 'SOURCE_DATABASE_URL');
    refuseSeveralHosts(data.databaseUrl, 'DATABASE_URL');
    const mark = randomBytes(4).toString('hex');
    const sourceUrl = databaseOn(
      data.sourceDatabaseUrl ?? own.sourceDatabaseUrl,
      `keystride_prove_${mark}_source`,
    );
    const templateUrl = databaseOn(data.databaseUrl ?? own.databaseUrl, `keystride_prove_${mark}_target`);
    const copies = new Copies(templateUrl, sourceUrl);
    try {
      await copies.#copy(data.sourceDatabaseUrl ?? own.sourceDatabaseUrl, sourceUrl, 'SOURCE_DATABASE_URL');
      await copies.#copy(data.databaseUrl ?? own.databaseUrl, templateUrl, 'DATABASE_URL');
      await patiently(() => migrateLedger(templateUrl));
      if (data.databaseUrl === undefined)
        await config.prove?.fill?.({
          databaseUrl: templateUrl,
          sourceDatabaseUrl: sourceUrl,
          rows: data.rows,
        });
      // An instance that has completed in the original runs again in the copy.
      await visit(templateUrl, (ledger) => forgetInstance(ledger, instance));
      if (data.followed) {
        await withClient(sourceUrl, async (client) => {
          await noteRows(client);
          await noteTransactions(client);
        });
        await withClient(templateUrl, async (client) => {
          await noteRows(client);
          await noteMoves(client);
        });
      } else await withClient(templateUrl, noteWrites);
      return copies;
    } catch (error) {
      await copies.drop();
      throw error;
    }
  }

  /** Makes the database of one run. */
  async make(name: string): Promise<string> {
    const url = await this.#make(this.#templateUrl, name, 'DATABASE_URL');
    // What is named after a ledger in a server is not to be that of another run.
    await visit(url, giveOtherId);
    return url;
  }

  /** Makes a source of its own for one run. */
  makeSource(name: string): Promise<string> {
    return this.#make(this.sourceUrl, name, 'SOURCE_DATABASE_URL');
  }

  async #make(from: string, name: string, variable: string): Promise<string> {
    const url = databaseOn(from, `${databaseOf(from)}_${name}`);
    await this.#copy(from, url, variable, patiently);
    return url;
  }

  /** Takes the database of one run away, or all that were made. */
  async drop(url?: string): Promise<void> {
    for (const made of url === undefined ? this.#made : [url]) {
      await withClient(databaseOn(made, 'postgres'), async (client) => {
        await freeSlotsOf(client, databaseOf(made));
        await client.query(
          `DROP DATABASE IF EXISTS ${client.escapeIdentifier(databaseOf(made))} WITH (FORCE)`,
        );
      });
      this.#made.delete(made);
    }
  }

  /** @param trying once, as long as nobody knows whether a database of the user can be copied at all. */
  async #copy(from: string, to: string, variable: string, trying: typeof patiently = (work) => work()) {
    const template = databaseOf(from);
    const create = async (client: pg.Client) => {
      // A try whose answer was lost may have made it.
      await client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(databaseOf(to))}`);
      await client.query(
        `CREATE DATABASE ${client.escapeIdentifier(databaseOf(to))} TEMPLATE ${client.escapeIdentifier(template)}`,
      );
    };
    try {
      await trying(() => onConnection(databaseOn(to, 'postgres'), create));
      this.#made.add(to);
    } catch (error) {
      throw explain(error, from, variable);
    }
  }
}

async function onConnection<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new SessionClient({ connectionString: url, application_name: 'keystride prove' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A database goes with its slots, unless somebody reads one. */
async function freeSlotsOf(client: pg.Client, database: string): Promise<void> {
  const { rows } = await client.query<{ slot: string }>(
    'SELECT slot_name AS slot FROM pg_replication_slots WHERE database = $1',
    [database],
  );
  for (const { slot } of rows) await freeSlot(client, slot);
}

/** Works on one connection and closes it: again on another one where it is lost. */
export function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  return patiently(() => onConnection(url, work));
}

/** The same with the ledger of a database. */
export function visit<Result>(url: string, work: (ledger: Ledger) => Promise<Result>): Promise<Result> {
  return patiently(() => visitLedger({ connectionString: url, name: 'keystride prove' }, work));
}

/** Connections go by way of a proxy, in front of one server. */
function refuseSeveralHosts(url: string | undefined, variable: string): void {
  if (url === undefined || hostsOf(url).length === 1) return;
  throw new PartError({
    what: `${variable} names several hosts, and prove copies a database of one`,
    where: withoutCredentials(url),
    todo: 'Name the primary alone.',
  });
}

/** The way there, the password, the certificate: what has nothing to do with copying. */
function unusable(error: unknown, url: string, variable: string): unknown {
  const problem = databaseProblemOf(error, { url, variable });
  return problem ? new PartError({ ...problem, where: withoutCredentials(url) }, { cause: error }) : error;
}

function explain(error: unknown, url: string, variable: string): unknown {
  if (!(error instanceof pg.DatabaseError)) return unusable(error, url, variable);
  const where = withoutCredentials(url);
  if (error.code === objectInUse)
    return new PartError(
      {
        what: 'the database cannot be copied while others are connected to it',
        where,
        todo: `End what uses it, or unset ${variable} to try the job on demo data.`,
      },
      { cause: error },
    );
  if (error.code === insufficientPrivilege)
    return new PartError(
      {
        what: 'this user may not copy the database',
        where,
        todo: `Grant it CREATEDB and the ownership of the database, or unset ${variable} to try the job on demo data.`,
      },
      { cause: error },
    );
  return unusable(error, url, variable);
}
