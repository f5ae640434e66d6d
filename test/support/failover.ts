import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import type pg from 'pg';
import { inject } from 'vitest';
import { Guard } from '../../packages/keystride/src/dev/guard.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { startReplica } from './replica.ts';
import { createWorld, type TestWorker, waitFor, type World, type WorldOptions } from './stack.ts';

/** A way to a server that can be cut, and can lead to another one. */
export class Way {
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  #port: number;
  #open = true;

  private constructor(url: string) {
    this.#port = Number(new URL(url).port);
    this.#server = net.createServer((near) => {
      if (!this.#open) {
        near.destroy();
        return;
      }
      const far = net.connect(this.#port, '127.0.0.1');
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  static async to(url: string): Promise<Way> {
    const way = new Way(url);
    way.#server.listen(0, '127.0.0.1');
    await once(way.#server, 'listening');
    return way;
  }

  /** A connection string of the same database, this way. */
  urlOf(url: string): string {
    const through = new URL(url);
    through.port = String((this.#server.address() as net.AddressInfo).port);
    return through.href;
  }

  cut(): void {
    this.#open = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  leadTo(url: string): void {
    this.#port = Number(new URL(url).port);
    this.#open = true;
  }

  close(): void {
    this.cut();
    this.#server.close();
  }
}

/** The databases of a standby that was promoted. */
export interface Standby {
  readonly databaseUrl: string;
  readonly sourceDatabaseUrl: string;
  readonly pool: pg.Pool;
}

/** A world whose database has an asynchronous standby, with a worker that finds whichever is the primary. */
export interface FailoverWorld {
  readonly world: World;
  readonly worker: TestWorker;
  /** The database as it is before the failover. */
  readonly primary: pg.Pool;
  /** Waits until the standby has all that has committed. */
  caughtUp(): Promise<unknown>;
  /** From now on the standby gets nothing more of what commits. */
  cutReplication(): void;
  /** The primary dies with all that the standby has not got, and the standby takes its place. */
  failOver(): Promise<Standby>;
  dispose(): Promise<void>;
}

/** Makes one; what it has started ends with it, also when it could not be made. */
export async function createFailoverWorld(options: WorldOptions = {}): Promise<FailoverWorld> {
  const ends: (() => unknown)[] = [];
  const dispose = async () => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    return await assemble(options, ends, dispose);
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function assemble(
  options: WorldOptions,
  ends: (() => unknown)[],
  dispose: () => Promise<void>,
): Promise<FailoverWorld> {
  const own = await createWorld({ ...options, ownServers: true });
  ends.push(() => own.dispose());
  // FerretDB of a world lives in its PostgreSQL, and would die with the primary: another one stands in.
  const elsewhere = new URL(inject('keystride').mongodbUrl ?? '');
  elsewhere.pathname = `/keystride_test_failover_${randomBytes(5).toString('hex')}`;
  // Inherited and not copied: what a world does not have, its getters refuse.
  const world = Object.create(own, { mongodbUrl: { value: elsewhere.href } }) as World;
  const guard = new Guard();
  ends.push(() => guard.close());
  const toDatabase = await Way.to(world.databaseUrl);
  ends.push(() => toDatabase.close());
  const toPrimary = await Way.to(world.databaseUrl);
  ends.push(() => toPrimary.close());
  const { cache } = inject('keystride');
  const replica = await startReplica(toPrimary.urlOf(world.databaseUrl), cache, guard.owner);
  ends.push(() => replica.stop());
  const worker = await world.startWorker({
    environment: {
      MONGODB_URL: world.mongodbUrl,
      DATABASE_URL: toDatabase.urlOf(world.databaseUrl),
      SOURCE_DATABASE_URL: toDatabase.urlOf(world.sourceDatabaseUrl),
    },
  });
  const poolOf = (url: string) => {
    const pool = createPool(url, 'a test', 2);
    ends.push(() => pool.end());
    return pool;
  };
  const primary = poolOf(world.databaseUrl);
  return {
    ...{ world, worker, primary, dispose },
    caughtUp: () =>
      waitFor(async () => {
        const { rows } = await primary.query<{ up: boolean }>(
          'SELECT replay_lsn = pg_current_wal_flush_lsn() AS up FROM pg_stat_replication',
        );
        return rows[0]?.up === true;
      }),
    cutReplication: () => toPrimary.cut(),
    failOver: async () => {
      toPrimary.cut();
      await world.servers.postgres.kill();
      const pool = poolOf(replica.url);
      await pool.query('SELECT pg_promote(true, 30)');
      toDatabase.leadTo(replica.url);
      const source = new URL(world.sourceDatabaseUrl);
      source.port = new URL(replica.url).port;
      return { databaseUrl: replica.url, sourceDatabaseUrl: source.href, pool };
    },
  };
}
