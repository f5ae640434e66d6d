import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { startTestWorker, type TestWorker } from '../test/support/worker-process.ts';
import type { Bench } from './bench.ts';

const root = path.join(import.meta.dirname, '..');

/**
 * The project as its image has it: the jobs as they are, the library as it is published, the flows bundled, what a worker
 * loads compiled.
 * @returns its directory
 */
export async function deliver(bench: Bench): Promise<string> {
  const directory = path.join(bench.directory, 'delivered');
  if (existsSync(directory)) return directory;
  const call = promisify(execFile);
  await call('npm', ['run', 'build'], { cwd: root, timeout: 180_000 });
  const packages = path.join(directory, 'node_modules');
  mkdirSync(packages, { recursive: true });
  for (const name of readdirSync(path.join(root, 'node_modules')))
    if (name !== 'keystride') symlinkSync(path.join(root, 'node_modules', name), path.join(packages, name));
  symlinkSync(path.join(root, 'packages/keystride/dist'), path.join(packages, 'keystride'));
  for (const name of ['package.json', 'keystride.config.ts', 'src'])
    cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
  const command = path.join(packages, 'keystride/cli/main.js');
  const env = { ...process.env, NODE_COMPILE_CACHE: compiledIn(directory) };
  await call(process.execPath, [command, 'bundle'], { cwd: directory, env, timeout: 180_000 });
  return directory;
}

function compiledIn(directory: string): string {
  return path.join(directory, 'compiled');
}

/** A worker of the project as it is delivered, which polls a queue of its own. */
export function startDelivered(
  { stack, workerEnvironment }: Bench,
  delivered: string,
  { name, taskQueue }: { readonly name: string; readonly taskQueue: string },
): Promise<TestWorker> {
  return startTestWorker({
    name,
    home: stack.info.home,
    program: path.join(delivered, 'src/worker.ts'),
    environment: {
      ...workerEnvironment,
      KEYSTRIDE_WORKFLOW_BUNDLE: path.join(delivered, 'workflows.js'),
      NODE_COMPILE_CACHE: compiledIn(delivered),
      KEYSTRIDE_TASK_QUEUE: taskQueue,
    },
    owner: stack.ownership,
  });
}
