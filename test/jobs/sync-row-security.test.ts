import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { logSyncs } from '../support/log-syncs.ts';
import type { Stores } from '../support/migration.ts';
import { failureOf, startVerification, stepOf } from '../support/runs.ts';
import { closeShop, openShop, plain, rowsOf } from '../support/shop.ts';
import type { World } from '../support/stack.ts';

/** Syncs whose roles are no superusers, into sinks that show their rows to some. */

let world: World;
let stores: Stores;

const ofWorker = (url: string) => Object.assign(new URL(url), { username: 'worker', password: 'word' }).href;

beforeAll(async () => {
  ({ world, stores } = await openShop({ ownServers: true }));
  await stores.migration
    .query(`CREATE ROLE worker LOGIN REPLICATION PASSWORD 'word'; GRANT USAGE ON SCHEMA keystride TO worker;
    GRANT ALL ON ALL TABLES IN SCHEMA keystride TO worker; GRANT ALL ON ALL SEQUENCES IN SCHEMA keystride TO worker`);
  for (const worker of world.workers) await worker.stop();
  await world.startWorker({ environment: { DATABASE_URL: ofWorker(world.databaseUrl) } });
});

afterAll(() => closeShop({ world, stores }));

const { empty, expectSame, parametersOf, refusal, sync } = logSyncs(() => ({ world, stores }));

beforeEach(empty);

const rows = `${plain}; INSERT INTO shop.k VALUES (1, 'a'), (2, 'b')`;

async function tables(sink: string): Promise<void> {
  await stores.service.query(rows);
  await stores.migration.query(`${sink}; GRANT ALL ON SCHEMA shop TO worker;
    GRANT ALL ON ALL TABLES IN SCHEMA shop TO worker`);
}

const secured = (policies: string) => `${plain}; INSERT INTO shop.k VALUES (9, 'of the sink alone');
  ALTER TABLE shop.k ENABLE ROW LEVEL SECURITY; ${policies}`;
const write = 'CREATE POLICY writes ON shop.k FOR INSERT WITH CHECK (true)';
const show = 'CREATE POLICY shows ON shop.k FOR SELECT USING (true)';
const change = 'CREATE POLICY changes ON shop.k FOR UPDATE USING (true)';
const remove = 'CREATE POLICY removes ON shop.k FOR DELETE USING (true)';
const everything = 'CREATE POLICY everything ON shop.k USING (true)';
const partitioned = `CREATE TABLE shop.k (id bigint PRIMARY KEY, note text) PARTITION BY RANGE (id);
  CREATE TABLE shop.part PARTITION OF shop.k FOR VALUES FROM (1) TO (9)`;

test.for([
  ['shows few of its rows', 'bulk', secured('CREATE POLICY few ON shop.k USING (id < 5)'), 'SELECT'],
  ['shows none', 'bulk', secured(write), 'SELECT'],
  [
    'shows all but some',
    'bulk',
    secured(`${everything}; CREATE POLICY no ON shop.k AS RESTRICTIVE USING (id < 5)`),
    'SELECT',
  ],
  ['lets none be updated', 'log', secured([write, show, remove].join(';')), 'UPDATE'],
  ['lets none be deleted', 'log', secured([write, show, change].join(';')), 'DELETE'],
] as const)('a sink that %s is refused by mode=%s', async ([, mode, sink, command]) => {
  await tables(sink);
  const message = new RegExp(
    `row security may hide rows of the sink shop.k from the role \\(${command}\\)`,
    'u',
  );
  const parameters = parametersOf({ mode });
  expect((await failureOf(await world.start('tableSync', parameters))).message).toMatch(message);
  expect(await rowsOf(stores.migration)).toHaveLength(1);
  if (mode === 'log') return;
  const verification = await startVerification(world, { job: 'tableSync', parameters });
  expect((await failureOf(verification)).message).toMatch(message);
});

test.for([
  ['all', everything],
  ['all, by a policy for each command', [write, show, change, remove].join(';')],
] as const)('a sink whose policies let %s through follows the log', async ([, policies]) => {
  await tables(secured(policies));
  await sync();
  await stores.service.query(`UPDATE shop.k SET note = 'c' WHERE id = 1; DELETE FROM shop.k WHERE id = 2`);
  expect(stepOf(await sync(), 'follow')).toMatchObject({ read: 2, skipped: 0 });
  await stores.migration.query('DELETE FROM shop.k WHERE id = 9');
  await expectSame();
});

test('a trigger of a partition of the sink that keeps what is deleted is refused', async () => {
  await tables(`${partitioned}; CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER keep BEFORE DELETE ON shop.part FOR EACH ROW EXECUTE FUNCTION shop.keep()`);
  expect(await refusal()).toMatch(
    /its trigger keep may keep rows .* ALTER TABLE shop\.part DISABLE TRIGGER keep/u,
  );
});

test('a foreign key to a partition of the sink that deletes by itself is refused', async () => {
  await tables(`${partitioned}; CREATE TABLE shop.child (id bigint REFERENCES shop.part ON DELETE CASCADE)`);
  expect(await refusal()).toMatch(/its foreign key child_id_fkey of shop\.child changes rows by itself/u);
});

test.for(['checkpoint', 'skip', 'stream_offset', 'ledger', 'instance'])(
  'a ledger that hides rows of its table %s from the role begins no run',
  async (table) => {
    await tables(plain);
    const ledger = (statement: string) => stores.migration.query(`${statement} ON keystride.${table}`);
    const alter = (what: string) =>
      stores.migration.query(`ALTER TABLE keystride.${table} ${what} ROW LEVEL SECURITY`);
    await alter('ENABLE');
    await stores.migration.query(`CREATE POLICY writes ON keystride.${table} FOR INSERT WITH CHECK (true)`);
    try {
      expect(await refusal({ mode: 'bulk' })).toMatch(
        new RegExp(`row security may hide rows of the ledger from the role, in ${table}: ALTER ROLE`, 'u'),
      );
      await stores.migration.query(`CREATE POLICY everything ON keystride.${table} USING (true)`);
      expect(stepOf(await sync({ mode: 'bulk' }), 'copy')).toMatchObject({ read: 2, written: 2 });
    } finally {
      await alter('DISABLE');
      for (const policy of ['writes', 'everything']) await ledger(`DROP POLICY IF EXISTS ${policy}`);
    }
  },
);
