import { execFileSync } from 'node:child_process';
import path from 'node:path';
import fc from 'fast-check';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { testDatabase } from '../support/database.ts';

/** Keys as `skips list` shows them, pasted into a shell after `--key`. */
let database: Awaited<ReturnType<typeof testDatabase>>;
let client: pg.Client;

beforeAll(async () => {
  database = await testDatabase('target');
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
}, 60_000);

afterAll(async () => {
  await client.end();
  await database.drop();
});

const cli = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');

/** What an interactive person would paste: bash reads it. */
function bash(command: string): string {
  return execFileSync('bash', ['--norc', '-c', `${process.execPath} ${cli} ${command}`], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
    env: { PATH: process.env['PATH'], NO_COLOR: '1', DATABASE_URL: database.url, LC_ALL: 'C' },
  });
}

async function skip(instance: string, keys: readonly string[]): Promise<void> {
  await client.query(
    `insert into keystride.instance (instance_key, job, params, epoch, owner_workflow_id, owner_run_id, status)
     values ($1, 'documentMigration', '{}', 1, $1, 'r', 'completed')`,
    [instance],
  );
  await client.query(
    `insert into keystride.step (instance_key, step, status, epoch) values ($1, 'fetch', 'completed', 1)`,
    [instance],
  );
  await client.query(
    `insert into keystride.skip (instance_key, step, item_key, phase, code, fingerprint, message, partition)
     select $1, 'fetch', key, 'process', 'CODE', 'CODE: ' || key, 'the message', 0 from unnest($2::text[]) key`,
    [instance, keys],
  );
}

const awkward = fc.string({
  unit: fc.constantFrom(
    ...'ab1 ,;:\'"`$!\\|&<>(){}[]*?#~=%-\n\t\r\u001b\u0007\u0085\u202e\u2066\u2028\u200b'.split(''),
    'ü',
    '👩‍💻',
  ),
  minLength: 0,
  maxLength: 30,
});

const fixed = [
  ...[
    '17',
    '-5',
    '--help',
    '',
    'x,y',
    "it's",
    '"quoted"',
    '$(reboot)',
    '`reboot`',
    'a!b',
    '!!',
    '*',
    '~',
    '\\',
  ],
  ...['\n', 'a\nb', '\u001b[2J', '\u009b31m', '\u202egnp', "$'x'", '["x,y","z"]', 'k'.repeat(2_500)],
];

test(
  'keys and causes come back as they were, through list, bash, waive and export',
  { timeout: 240_000 },
  async () => {
    const [random = []] = fc.sample(fc.uniqueArray(awkward, { minLength: 60, maxLength: 60 }), 1);
    const keys = [...new Set([...fixed, ...random])];
    await skip('keys:1', keys);
    const shown = bash('skips keys:1 list --limit 1000');
    expect(shown).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    const causes = lastColumn(shown, 'items', 'cause', / CODE +\S*'CODE: /u);
    const words = lastColumn(shown, 'step', 'key', /^fetch /u);
    expect([causes.length, words.length]).toEqual([keys.length, keys.length]);
    const [first = '', ...rest] = causes;
    expect(JSON.parse(bash(`skips keys:1 waive --reason one -o json --fingerprint ${first}`))).toMatchObject({
      waived: 1,
    });
    bash(`skips keys:1 waive --reason all ${words.map((word) => `--key ${word}`).join(' ')}`);
    const { rows } = await client.query(`select status, count(*)::int from keystride.skip group by status`);
    expect(rows).toEqual([{ status: 'waived', count: keys.length }]);
    expect(rest).not.toContain(first);
    const exported = bash('skips keys:1 export -o json');
    expect(exported).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    const back = exported
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { key: string }).key);
    expect(back.toSorted()).toEqual(keys.toSorted());
  },
);

/** The last column of the lines of a table, as it stands there. */
function lastColumn(text: string, first: string, last: string, rows: RegExp): string[] {
  const lines = text.split('\n');
  const from = lines.find((line) => line.startsWith(first) && line.endsWith(last))?.lastIndexOf(last);
  return lines.filter((line) => rows.test(line)).map((line) => line.slice(from));
}
