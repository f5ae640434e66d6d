/**
 * Breaks each rule in turn and looks whether its test fails: `npm run mutations [-- PATTERN]`, where the pattern chooses
 * by rule and test file. It works on a copy of this checkout and takes minutes; exit code 1 when a mutation survives.
 */
import { spawn } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, setPriority, tmpdir } from 'node:os';
import path from 'node:path';
import { startStack } from '../../packages/keystride/src/dev/stack.ts';
import { mutated, type Mutation } from './mutation.ts';
import { mutations } from './mutations.ts';

/** `killed` by its test, `survived`, or what kept it from being tried. */
type Verdict = 'killed' | 'survived' | `not tried: ${string}`;

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  /** One a file; its message is why the file did not get as far as its tests. */
  readonly testResults: readonly { readonly message: string }[];
}

const checkout = path.join(import.meta.dirname, '../..');
const timeoutMs = 180_000;
const chosen = new RegExp(process.argv[2] ?? '', 'iu');

/** The copy that is mutated; nothing of it is kept. */
function copyCheckout(): string {
  const copy = mkdtempSync(path.join(tmpdir(), 'keystride-mutations-'));
  for (const name of [
    'src',
    'packages',
    'ops',
    'test',
    'keystride.config.ts',
    'package.json',
    'tsconfig.json',
    'vitest.config.ts',
  ])
    cpSync(path.join(checkout, name), path.join(copy, name), { recursive: true });
  linkPackages(copy);
  return copy;
}

/** The packages of the checkout, but for the library itself: the project of the copy is to import that of the copy. */
function linkPackages(copy: string): void {
  const packages = path.join(checkout, 'node_modules');
  mkdirSync(path.join(copy, 'node_modules'));
  for (const name of readdirSync(packages))
    symlinkSync(
      name === 'keystride' ? path.join(copy, 'packages/keystride') : path.join(packages, name),
      path.join(copy, 'node_modules', name),
    );
}

/** @returns what puts the files back. */
function apply(copy: string, mutation: Mutation): () => void {
  const read = (name: string) => readFileSync(path.join(copy, name), 'utf8');
  const mutants = mutated(mutation, read);
  const before = [...mutants.keys()].map((name) => [name, read(name)] as const);
  for (const [name, text] of mutants) writeFileSync(path.join(copy, name), text);
  return () => {
    for (const [name, text] of before) writeFileSync(path.join(copy, name), text);
  };
}

function runTest(copy: string, { test, named }: Mutation, environment: NodeJS.ProcessEnv): Promise<Report> {
  const result = path.join(copy, 'result.json');
  rmSync(result, { force: true });
  const vitest = path.join(checkout, 'node_modules/vitest/vitest.mjs');
  const pattern = named.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`);
  const child = spawn(
    process.execPath,
    [
      ...[
        vitest,
        'run',
        '--project',
        'fast',
        '--project',
        'cases',
        '--project',
        'chaos',
        test,
        '-t',
        pattern,
      ],
      ...['--reporter', 'json', '--outputFile', result],
    ],
    { cwd: copy, env: environment, stdio: 'ignore', timeout: timeoutMs, killSignal: 'SIGTERM' },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      try {
        resolve(JSON.parse(readFileSync(result, 'utf8')) as Report);
      } catch {
        reject(new Error(`the test did not end within ${timeoutMs / 1000} s`));
      }
    });
  });
}

async function tryOut(copy: string, mutation: Mutation, environment: NodeJS.ProcessEnv): Promise<Verdict> {
  let restore: () => void = () => undefined;
  try {
    restore = apply(copy, mutation);
    const { numPassedTests, numFailedTests, testResults } = await runTest(copy, mutation, environment);
    if (numPassedTests + numFailedTests === 0)
      return `not tried: no test ran ${testResults[0]?.message.split('\n', 1)[0] ?? ''}`;
    return numFailedTests > 0 ? 'killed' : 'survived';
  } catch (error) {
    return `not tried: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    restore();
  }
}

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
const copy = copyCheckout();
const stack = await startStack({ ephemeral: true, parts: ['temporal', 'postgres', 'mongodb'] });
try {
  const { temporal, postgres, mongodb } = stack.parts;
  const environment = {
    ...process.env,
    TEMPORAL_ADDRESS: temporal.address,
    DATABASE_URL: postgres.url,
    MONGODB_URL: mongodb.url,
  };
  for (const mutation of mutations.filter(({ rule, test }) => chosen.test(`${rule} ${test}`))) {
    const verdict = await tryOut(copy, mutation, environment);
    if (verdict !== 'killed') process.exitCode = 1;
    console.log(`${verdict.padEnd(8)}  ${mutation.rule}  (${mutation.test}: ${mutation.named})`);
  }
} finally {
  await stack.stop();
  rmSync(copy, { recursive: true, force: true });
}
