import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleWorkflows, writeWorkflowBundle } from '../packages/keystride/src/host/workflow-bundle.ts';

const ownEntry = path.join(import.meta.dirname, '../src/workflows/index.ts');

let directory: string;
let code: string;

beforeAll(async () => {
  directory = await mkdtemp(path.join(import.meta.dirname, '..', 'node_modules', '.keystride-bundle-'));
  code = (await bundleWorkflows(ownEntry)).code;
});

afterAll(() => rm(directory, { recursive: true }));

/** The packages whose modules are in a bundle, by the paths that webpack gives its modules. */
function packagesIn(bundle: string): Set<string> {
  const paths = bundle.matchAll(/node_modules\/((?:@[\w.-]+\/)?[\w.-]+)\//g);
  return new Set(Array.from(paths, ([, name]) => name ?? ''));
}

test('holds every workflow type', () => {
  for (const type of ['documentMigration', 'targetSync', 'verification', 'partition']) {
    expect(code).toMatch(new RegExp(`function ${type}\\b`));
  }
});

test('holds no package but those of the sandbox', () => {
  const packages = packagesIn(code);
  const ofTemporal = [...packages].filter((name) => name.startsWith('@temporalio/'));
  expect(ofTemporal).toContain('@temporalio/workflow');
  for (const name of [
    'pg',
    'mongodb',
    'zod',
    'kysely',
    'pino',
    'undici',
    '@temporalio/client',
    '@temporalio/worker',
  ]) {
    expect([...packages]).not.toContain(name);
  }
});

test('holds no module of Node', () => {
  // `assert` and `url` are the two that the sandbox itself replaces.
  const required = Array.from(code.matchAll(/require\("(?:node:)?([\w/]+)"\)/g), ([, name]) => name ?? '');
  expect(
    required.filter((name) => builtinModules.includes(name) && !['assert', 'url'].includes(name)),
  ).toEqual([]);
  expect(code).not.toContain('"node:');
});

test('cannot be made of a workflow that reaches for Node, and says which module it was', async () => {
  const entry = path.join(directory, 'workflows.ts');
  await writeFile(
    entry,
    `import { readFileSync } from 'node:fs';\nexport const read = async () => readFileSync('/');\n`,
  );
  const source = pathToFileURL(
    path.join(import.meta.dirname, '../packages/keystride/src/host/workflow-bundle.ts'),
  ).href;
  const program = `import { bundleWorkflows } from '${source}'; await bundleWorkflows('${entry}');`;
  const bundling = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  await expect(bundling).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('node:fs') });
});

test('is written to the file that is asked for', async () => {
  const file = path.join(directory, 'bundle.js');
  await writeWorkflowBundle(file, ownEntry);
  expect(await readFile(file, 'utf8')).toContain('documentMigration');
});
