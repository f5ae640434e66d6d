import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { CallLimiter } from '../../packages/keystride/src/stores/http/call-limiter.ts';
import { CallBudget } from '../../packages/keystride/src/ledger/call-budget.ts';
import { createPool } from '../../packages/keystride/src/stores/postgres/pool.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';
import { waitFor } from 'keystride/testing';

let database: TestDatabase;
let pool: pg.Pool;
const workers: Worker[] = [];

beforeAll(async () => {
  database = await testDatabase('target');
  pool = createPool(database.url, 'keystride test', 4);
});

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.stop()));
});

afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const api = 'the legacy API';
const total = 30;

/** Long enough that whoever takes another’s part before its calls have ended is seen. In milliseconds. */
const callMs = 800;

test('workers share a budget of calls, never have more out, and give back what they no longer need', async () => {
  const first = new Worker();
  await first.toHaveOut(total);
  const second = new Worker();
  await second.toHaveOut(total / 2);
  const third = new Worker();
  await third.toHaveOut(total / 3);
  await waitFor(() => Promise.resolve([first, second, third].every(({ out }) => out === total / 3)), {
    what: 'each of three workers to have a third',
    timeoutMs: 10_000,
  });
  await second.stop();
  // Well before its lease would be over.
  await first.toHaveOut(total / 2, 5_000);
  await third.toHaveOut(total / 2);
  expect(Worker.most).toBe(total);
}, 60_000);

test('the part of a worker that has died is free when its lease is over, and not before', async () => {
  await pool.query(
    `INSERT INTO keystride.call_share (api, worker, calls, expires_at)
     VALUES ($1, gen_random_uuid(), $2, clock_timestamp() + interval '2 seconds')`,
    [api, total - 3],
  );
  const worker = new Worker();
  await worker.toHaveOut(3);
  await delay(500);
  expect(worker.out).toBe(3);
  await worker.toHaveOut(total);
}, 30_000);

test('a worker whose ledger does not answer any more calls nothing when its lease is over', async () => {
  const line = await lineTo(database.url);
  const ledger = createPool(line.url, 'keystride test', 1);
  const worker = new Worker(ledger);
  await worker.toHaveOut(total);
  line.hang();
  try {
    await delay(2_000);
    expect(worker.out, 'the lease is not over').toBe(total);
    await worker.toHaveOut(0);
  } finally {
    line.close();
  }
}, 30_000);

/** A way to a server on which nothing moves any more when it hangs. */
async function lineTo(address: string) {
  const { hostname, port } = new URL(address);
  const sockets: Socket[] = [];
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(address);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    hang: () => {
      for (const socket of sockets) socket.unpipe();
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** A worker that has calls without end to make, each of which takes its time. */
class Worker {
  static all = 0;
  static most = 0;
  out = 0;
  readonly #limiter = new CallLimiter(api);
  readonly #budget: CallBudget;
  readonly #ended = new AbortController();
  readonly #calling: readonly Promise<void>[];

  constructor(ledger = pool) {
    workers.push(this);
    this.#budget = new CallBudget(ledger, this.#limiter, total);
    this.#calling = Array.from({ length: 2 * total }, () => this.#callAgain());
  }

  toHaveOut(calls: number, timeoutMs = 12_000): Promise<unknown> {
    return waitFor(() => Promise.resolve(this.out === calls), {
      what: `a worker to have ${calls} calls out, not ${this.out}`,
      timeoutMs,
    });
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await Promise.allSettled(this.#calling);
    await this.#budget.close();
  }

  async #callAgain(): Promise<void> {
    while (!this.#ended.signal.aborted)
      await this.#limiter
        .run({ waiting: this.#ended.signal, attempt: 1 }, () => this.#call())
        .catch(() => undefined);
  }

  async #call(): Promise<void> {
    this.out++;
    Worker.most = Math.max(Worker.most, ++Worker.all);
    await delay(callMs);
    this.out--;
    Worker.all--;
  }
}
