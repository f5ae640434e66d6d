import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installOldestNode, installWords, oldestNode, wayToTheRegistry } from '../support/npm.ts';
import { packedLibrary } from '../support/packed-library.ts';

const root = path.join(import.meta.dirname, '../..');
const library = path.join(root, 'packages/keystride');
const tsc = path.join(root, 'node_modules/typescript/bin/tsc');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where everything lies, outside of the repository: nothing is found there by walking up. */
let place: string;
/** Directories with a `node`, by version. */
let nodes: Readonly<Record<string, string>>;
/** What npm said when it installed the packed library. */
let installation: Ended;

/** Runs a program with that Node first on PATH, and nothing else of this environment that could help it, but for npm. */
function run(program: string, words: readonly string[], cwd: string, node: string): Promise<Ended> {
  const env = {
    ...wayToTheRegistry(),
    PATH: `${node}${path.delimiter}${process.env['PATH'] ?? ''}`,
    HOME: process.env['HOME'],
    KEYSTRIDE_HOME: path.join(place, 'no-home'),
    NO_COLOR: '1',
  };
  return new Promise((resolve) => {
    execFile(program, words, { cwd, env, timeout: 300_000 }, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    );
  });
}

function directory(name: string, manifest?: Readonly<Record<string, unknown>>): string {
  const made = path.join(place, name);
  mkdirSync(made, { recursive: true });
  if (manifest) writeFileSync(path.join(made, 'package.json'), JSON.stringify(manifest, undefined, 2));
  return made;
}

/** A project of a stranger's: the sources of one of `consumers`, and the packages that npm has installed. */
function consumer(name: string, sources: string): string {
  const project = directory(name, { name, private: true, type: 'module' });
  cpSync(path.join(import.meta.dirname, 'consumers', sources), project, { recursive: true });
  symlinkSync(path.join(place, 'installed/node_modules'), path.join(project, 'node_modules'));
  return project;
}

/** The peers as package.json of the library names them, but for those that nobody must have. */
function peers(): Record<string, string> {
  const { peerDependencies, peerDependenciesMeta } = JSON.parse(
    readFileSync(path.join(library, 'package.json'), 'utf8'),
  ) as {
    readonly peerDependencies: Readonly<Record<string, string>>;
    readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional?: boolean }>>;
  };
  const needed = Object.entries(peerDependencies).filter(
    ([name]) => peerDependenciesMeta[name]?.optional !== true,
  );
  return Object.fromEntries(needed);
}

beforeAll(async () => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-consumers-'));
  const current = path.dirname(process.execPath);
  const { devDependencies } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  const installed = directory('installed', {
    private: true,
    dependencies: { keystride: `file:${packedLibrary(place)}`, ...peers() },
    devDependencies: { '@types/node': devDependencies['@types/node'] },
    allowScripts: { '@swc/core': true, protobufjs: true },
  });
  installation = await run('npm', installWords, installed, current);
  nodes = {
    [oldestNode]: installOldestNode(path.join(place, 'oldest')),
    [process.versions.node]: current,
  };
  consumer('nodenext', 'typescript');
  consumer('bundler', 'typescript');
  consumer('javascript', 'javascript');
}, 600_000);

afterAll(() => rmSync(place, { recursive: true, force: true }));

test('the packed library is installed without a warning', () => {
  expect(installation.stderr).toBe('');
  expect(installation.code).toBe(0);
});

/** What a compiler is told by a project of that kind. Declarations of packages are checked too. */
const resolutions = { nodenext: 'nodenext', bundler: 'esnext' } as const;

test.each(Object.entries(resolutions))(
  'its types serve a project that resolves modules as %s, mistakes included',
  async (moduleResolution, module) => {
    const project = path.join(place, moduleResolution);
    const compilerOptions = {
      ...{ module, moduleResolution, target: 'es2024', lib: ['es2024'], types: ['node'], noEmit: true },
      ...{ strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
      ...{ allowImportingTsExtensions: true, verbatimModuleSyntax: true },
    };
    writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    const { stdout } = await run(
      'node',
      [tsc, '--pretty', 'false', '--listFiles'],
      project,
      nodes[oldestNode] ?? '',
    );
    const errors = stdout.split('\n').filter((line) => /^\S.*error TS/u.test(line));
    // Temporal's own declarations name a package whose types TypeScript does not find.
    expect(errors.filter((line) => !line.includes('node_modules/@temporalio/'))).toEqual([]);
    // The compiler has seen them, and our declarations: where a mistake is none, its @ts-expect-error is an error.
    expect(stdout).toContain(path.join(project, 'work.ts'));
    expect(stdout).toContain('node_modules/keystride/workflow.d.ts');
  },
);

describe.each(['nodenext', 'bundler', 'javascript'])('the project %s', (name) => {
  test.each([oldestNode, process.versions.node])('shows its jobs on Node %s', async (node) => {
    const words = ['keystride', 'jobs', '-o', 'json'];
    const jobs = await run('npx', words, path.join(place, name), nodes[node] ?? '');
    expect(jobs).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(jobs.stdout)).toMatchObject([{ name: 'invoices', steps: [{ step: 'send' }] }]);
  });
});

test.each([
  ['nodenext', oldestNode],
  ['javascript', process.versions.node],
])('the project %s bundles its flows on Node %s', async (name, node) => {
  const project = path.join(place, name);
  const bundled = await run('npx', ['keystride', 'bundle', 'out.js'], project, nodes[node] ?? '');
  expect(bundled).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(path.join(project, 'out.js'), 'utf8')).toContain('invoices');
});

test('a worker asks for Temporal and for a database, and for nothing else', async () => {
  const { code, stderr } = await run(
    'npx',
    ['keystride', 'worker'],
    path.join(place, 'nodenext'),
    nodes[oldestNode] ?? '',
  );
  expect(code).toBe(1);
  const missing = Array.from(stderr.matchAll(/(\w+) is not set/gu), ([, variable]) => variable);
  expect(missing).toEqual(['TEMPORAL_ADDRESS', 'DATABASE_URL']);
});

test.each(['keystride/page/page.js', 'keystride/src/page/page.ts', 'keystride/dist/page/page.js'])(
  'what is internal cannot be imported: %s',
  async (internal) => {
    const words = ['--input-type=module', '--eval', `await import('${internal}')`];
    const { code, stderr } = await run(
      'node',
      words,
      path.join(place, 'javascript'),
      nodes[oldestNode] ?? '',
    );
    expect(stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
    expect(code).toBe(1);
  },
);

test('every entry can be imported', async () => {
  const { exports } = JSON.parse(readFileSync(path.join(library, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string>>;
  };
  const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
  // The driver of MongoDB, and vitest, are for those who want them.
  const loadable = entries.filter((entry) => !/^\.\/(mongo|testing\/vitest)$/u.test(entry));
  const script = loadable.map((entry) => `await import('keystride${entry.slice(1)}');`).join('\n');
  const words = ['--input-type=module', '--eval', script];
  const ended = await run('node', words, path.join(place, 'javascript'), nodes[oldestNode] ?? '');
  expect(ended).toEqual({ code: 0, stdout: '', stderr: '' });
});
