import { afterEach, beforeEach, expect, test } from 'vitest';
import { readBooks } from '../../packages/keystride/src/prove/books.ts';
import { ignoredColumns } from '../../packages/keystride/src/prove/columns.ts';
import { withClient } from '../../packages/keystride/src/prove/copies.ts';
import { DatabaseProxy } from '../../packages/keystride/src/prove/database-proxy.ts';
import { readEffects } from '../../packages/keystride/src/prove/effects.ts';
import { testDatabase, type TestDatabase } from '../support/database.ts';

/** What prove asks for itself outlives the faults of its runs: the first two connections are lost, at another message. */

let database: TestDatabase;
let proxy: DatabaseProxy;
let url: string;

beforeEach(async () => {
  database = await testDatabase('target');
  await withClient(database.url, (client) =>
    client.query(`CREATE SCHEMA keystride_prove;
      CREATE TABLE keystride_prove.written (relation text, operation text, content jsonb)`),
  );
  proxy = await DatabaseProxy.start(database.url, [
    { kind: 'replyLost', at: 1 },
    { kind: 'replyLost', at: 4 },
  ]);
  url = proxy.urlOf(database.url);
});

afterEach(async () => {
  await proxy.stop();
  await database.drop();
});

test.each<[string, (through: string) => Promise<unknown>]>([
  ['a statement', (through) => withClient(through, (client) => client.query('SELECT 1'))],
  ['the books', (through) => readBooks(through, 'job')],
  ['the columns', (through) => ignoredColumns(through, new Date())],
  ['the effects', (through) => readEffects(through, undefined, new Map(), new Date())],
])('%s: asked again on another connection', async (_, ask) => {
  let lost = 0;
  proxy.onFault = () => (lost += 1);
  await ask(url);
  expect(lost).toBe(2);
});

test('what no connection can mend is thrown at once', async () => {
  const asked = withClient(database.url, (client) => client.query('SELECT nonsense'));
  await expect(asked).rejects.toMatchObject({ code: '42703' });
});
