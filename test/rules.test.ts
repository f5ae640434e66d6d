import { execFile } from 'node:child_process';
import { copyFile, glob, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ledgerTables } from '../packages/keystride/src/ledger/schema.ts';

interface Finding {
  code: string;
  filename: string;
}

const root = path.join(import.meta.dirname, '..');

/** A room of the house, a line of code in one of its files, and the rule that must object to it. */
const refused: [room: string, code: string, rule: string][] = [
  ['contract', `import '../stores/postgres/pool.ts';`, 'no-restricted-imports'],
  ['contract', `import type { Pool } from 'pg';\nexport type P = Pool;`, 'no-restricted-imports'],
  ['contract', `import 'node:fs';`, 'no-restricted-imports'],
  ['workflows', `import '../contract/parameters.ts';`, 'no-restricted-imports'],
  ['workflows', `import '../contract/document-migration.ts';`, 'no-restricted-imports'],
  ['workflows', `import '../stores/postgres/pool.ts';`, 'no-restricted-imports'],
  ['workflows', `import '../activities/index.ts';`, 'no-restricted-imports'],
  ['workflows', `import '../engine/activity/page.ts';`, 'no-restricted-imports'],
  ['workflows', `import 'zod';`, 'no-restricted-imports'],
  ['workflows', `import 'node:crypto';`, 'no-restricted-imports'],
  ['workflows', `import '@temporalio/client';`, 'no-restricted-imports'],
  ['engine/workflow', `import '../../contract/index.ts';`, 'no-restricted-imports'],
  ['engine/workflow', `import '../../workflows/target-sync.ts';`, 'no-restricted-imports'],
  ['engine/workflow', `import '../activity/page.ts';`, 'no-restricted-imports'],
  ['engine/workflow', `export * from 'zod';`, 'no-restricted-imports'],
  ['engine/activity', `import '../../activities/target-sync.ts';`, 'no-restricted-imports'],
  ['engine/activity', `import '../workflow/run-job.ts';`, 'no-restricted-imports'],
  ['engine/activity', `import '../../config.ts';`, 'no-restricted-imports'],
  ['engine/activity/ledger', `import '../../../workflows/partition.ts';`, 'no-restricted-imports'],
  ['activities', `import '../workflows/target-sync.ts';`, 'no-restricted-imports'],
  ['activities', `import '../engine/workflow/run-job.ts';`, 'no-restricted-imports'],
  ['activities/document-migration', `import '../../config.ts';`, 'no-restricted-imports'],
  ['stores', `import '../engine/activity/page.ts';`, 'no-restricted-imports'],
  ['stores/postgres', `import '../../activities/index.ts';`, 'no-restricted-imports'],
  ['stores/postgres', `import '../../config.ts';`, 'no-restricted-imports'],
  ['cli', `import '../engine/activity/page.ts';`, 'no-restricted-imports'],
  ['cli', `import '../activities/index.ts';`, 'no-restricted-imports'],
  ['cli', `import '../stores/mongo/bulk.ts';`, 'no-restricted-imports'],
  ['cli', `import '../worker.ts';`, 'no-restricted-imports'],
  ['dev', `import '../activities/index.ts';`, 'no-restricted-imports'],
  ['dev', `import '../worker.ts';`, 'no-restricted-imports'],
  ['.', `import './worker.ts';`, 'no-restricted-imports'],
  ['.', `declare function work(): Promise<void>;\nwork();`, 'no-floating-promises'],
  [
    '.',
    `declare const works: (() => Promise<boolean>);\nif (works()) throw new Error();`,
    'no-misused-promises',
  ],
  ['.', `export const anything: any = 1;`, 'no-explicit-any'],
];

/** What the same rules must let pass. */
const allowed: [room: string, code: string][] = [
  ['contract', `import 'zod';\nimport './errors.ts';\nimport 'node:crypto';\nimport '@temporalio/common';`],
  [
    'workflows',
    `import '../contract/errors.ts';\nimport '../engine/workflow/run-job.ts';\nimport './partition.ts';`,
  ],
  ['workflows', `import type { Job } from '../contract/index.ts';\nexport type J = Job;`],
  ['workflows', `import '@temporalio/workflow';\nimport '@temporalio/common';`],
  ['engine/workflow', `import '../../workflows/partition.ts';\nimport '../../contract/states.ts';`],
  [
    'engine/activity',
    `import '../../stores/postgres/pool.ts';\nimport '../../contract/parameters.ts';\nimport 'pg';`,
  ],
  [
    'activities',
    `import '../engine/activity/chunks.ts';\nimport '../stores/mongo/bulk.ts';\nimport 'mongodb';`,
  ],
  ['activities/document-migration', `import '../resources.ts';\nimport '../../contract/index.ts';`],
  ['stores/postgres', `import '../../contract/cursor.ts';\nimport 'pg';`],
  ['cli', `import '../stores/postgres/migrate.ts';\nimport '../dev/stack.ts';\nimport './worker.ts';`],
  ['cli', `import '../stores/safe-message.ts';`],
  ['.', `import './cli/worker.ts';`],
];

let directory: string;
/** The rules that each file offends against, by its name. */
let findings: Map<string, Finding[]>;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keystride-rules-'));
  await copyFile(path.join(root, '.oxlintrc.json'), path.join(directory, '.oxlintrc.json'));
  await writeFile(
    path.join(directory, 'tsconfig.json'),
    '{ "compilerOptions": { "strict": true, "types": [] } }',
  );
  for (const [index, [room, code]] of refused.entries()) await place(room, `refused-${index}`, code);
  for (const [index, [room, code]] of allowed.entries()) await place(room, `allowed-${index}`, code);
  findings = Map.groupBy(await lint(), ({ filename }) => path.basename(filename, '.ts'));
});

afterAll(() => rm(directory, { recursive: true }));

describe('the linter refuses', () => {
  test.each(refused.map((line, index) => [...line, index] as const))(
    'in %s: %s',
    (_room, _code, rule, index) => {
      expect(rulesOf(`refused-${index}`)).toContain(rule);
    },
  );
});

describe('the linter lets pass', () => {
  test.each(allowed.map((line, index) => [...line, index] as const))('in %s: %s', (_room, _code, index) => {
    expect(rulesOf(`allowed-${index}`)).not.toContain('no-restricted-imports');
  });
});

describe('outside of its room', () => {
  const library = path.join(root, 'packages/keystride/src');
  const tables = new RegExp(
    `(${Object.keys(ledgerTables)
      .join('|')
      .replaceAll('.', String.raw`\.`)})\\b`,
    'u',
  );

  test('nobody names a table of the ledger, nor builds SQL on it', async () => {
    const offending: string[] = [];
    for await (const file of glob('**/*.ts', { cwd: library })) {
      if (file.startsWith('ledger/')) continue;
      const lines = (await readFile(path.join(library, file), 'utf8')).split('\n');
      const isCode = (line: string) => !/^\s*(\/\/|\/?\*)/u.test(line);
      if (lines.some((line) => isCode(line) && (tables.test(line) || line.includes('ledgerSql'))))
        offending.push(file);
    }
    expect(offending).toEqual([]);
  });

  test('the look finds what it looks for', async () => {
    const own = await readFile(path.join(library, 'ledger/checkpoint.ts'), 'utf8');
    expect(own).toMatch(tables);
  });
});

async function place(room: string, name: string, code: string): Promise<void> {
  const folder = path.join(directory, 'src', room);
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, `${name}.ts`), `${code}\nexport {};\n`);
}

function lint(): Promise<Finding[]> {
  const programs = path.join(root, 'node_modules/.bin');
  const environment = { ...process.env, OXLINT_TSGOLINT_PATH: path.join(programs, 'tsgolint') };
  return new Promise((resolve, reject) => {
    // Findings are its purpose here, so the exit code says nothing.
    const options = { cwd: directory, env: environment };
    execFile(
      path.join(programs, 'oxlint'),
      ['--type-aware', '-f', 'json'],
      options,
      (_error, stdout, stderr) => {
        try {
          resolve((JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics);
        } catch (error) {
          reject(new Error(`oxlint did not answer: ${stdout} ${stderr}`, { cause: error }));
        }
      },
    );
  });
}

/** The rules by their bare names: `eslint(no-unused-vars)` is `no-unused-vars`. */
function rulesOf(name: string): string[] {
  return (findings.get(name) ?? []).map(({ code }) => /\((.*)\)/.exec(code)?.[1] ?? code);
}
