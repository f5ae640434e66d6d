import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDemoDocuments } from '../../src/demo-data/documents.ts';
import { testDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof testDatabase>>;
let client: pg.Client;
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'demo-documents-'));
  database = await testDatabase('source');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.drop();
  await rm(directory, { recursive: true });
});

const readRows = async () => {
  const { rows } = await client.query<Record<string, string>>(
    `select d.ticket_key, d.member_id, d.document_name, d.uploaded_at::text, p.ticket_key as preprocessed
       from legacy_document d left join preprocess_document p using (ticket_key) order by d.id`,
  );
  return rows;
};

test('the same seed makes the same rows, another seed makes others', async () => {
  const fill = (seed: string) =>
    createDemoDocuments({
      sourceDatabaseUrl: database.url,
      count: 500,
      seed,
      reset: true,
      preprocessedShare: 0.2,
    });
  const first = await fill('one');
  const rows = await readRows();
  await fill('one');
  expect(await readRows()).toEqual(rows);
  await fill('two');
  expect(await readRows()).not.toEqual(rows);

  expect(rows.map((row) => row['ticket_key']).slice(0, 2)).toEqual(['T-0000001', 'T-0000002']);
  expect(rows.filter((row) => /\.\d{6}/.test(row['uploaded_at'] ?? '')).length).toBeGreaterThan(400);
  expect(first).toEqual({
    documents: 500,
    targets: rows.filter((row) => row['preprocessed'] === null).length,
  });
  expect(first.targets).toBeGreaterThan(350);
  expect(first.targets).toBeLessThan(450);
});

test('a second call adds what is missing and nothing else', async () => {
  const fill = (count: number) => createDemoDocuments({ sourceDatabaseUrl: database.url, count });
  await createDemoDocuments({ sourceDatabaseUrl: database.url, count: 10, reset: true });
  expect(await fill(10)).toEqual({ documents: 10, targets: 10 });
  expect(await fill(25)).toEqual({ documents: 25, targets: 25 });
});

test('tells how far it is, batch by batch', async () => {
  const seen: number[] = [];
  const onProgress = (done: number, total: number) => seen.push(done, total);
  await createDemoDocuments({ sourceDatabaseUrl: database.url, count: 100_001, reset: true, onProgress });
  expect(seen).toEqual([100_000, 100_001, 100_001, 100_001]);
}, 20_000);

test('takes the text files of a directory, under the paths below it', async () => {
  await mkdir(join(directory, 'a dir'));
  await writeFile(join(directory, 'b.md'), 'One.');
  await writeFile(join(directory, 'a dir', 'ä#?.txt'), 'Two.');
  await writeFile(join(directory, 'picture'), Buffer.from([0x89, 0x50, 0, 1]));
  const sourceDatabaseUrl = database.url;
  const result = await createDemoDocuments({ sourceDatabaseUrl, from: directory, reset: true });
  expect(result).toEqual({ documents: 2, targets: 2 });
  const rows = await readRows();
  expect(rows.map((row) => [row['ticket_key'], row['document_name']])).toEqual([
    ['a dir/ä#?.txt', 'ä#?.txt'],
    ['b.md', 'b.md'],
  ]);
  expect(await createDemoDocuments({ sourceDatabaseUrl, from: directory, count: 1, reset: true })).toEqual({
    documents: 1,
    targets: 1,
  });
});

test('refuses what it cannot do, and says why', async () => {
  const sourceDatabaseUrl = database.url;
  await expect(createDemoDocuments({ sourceDatabaseUrl })).rejects.toThrow(/Say how many documents/);
  for (const count of [0, -1, 1.5, Number.NaN]) {
    await expect(createDemoDocuments({ sourceDatabaseUrl, count })).rejects.toThrow(/positive whole number/);
  }
  await expect(createDemoDocuments({ sourceDatabaseUrl, count: 1, preprocessedShare: 2 })).rejects.toThrow(
    /from 0 to 1/,
  );
  const from = join(directory, 'nowhere');
  await expect(createDemoDocuments({ sourceDatabaseUrl, from })).rejects.toThrow(/Cannot list the documents/);
  await client.query('alter table legacy_document rename to gone');
  await expect(createDemoDocuments({ sourceDatabaseUrl, count: 1 })).rejects.toThrow(/keystride migrate/);
  await client.query('alter table gone rename to legacy_document');
});
