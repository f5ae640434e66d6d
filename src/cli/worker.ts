import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { Command } from 'commander';
import { ourModule } from '../dev/own-files.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson } from './output.ts';

const help = `
It takes its settings from the environment: TEMPORAL_ADDRESS (or temporal.toml), DATABASE_URL, SOURCE_DATABASE_URL,
MONGODB_URL, LEGACY_API_URL; what is missing there, from the stack of \`keystride dev\`. On SIGTERM it lets the chunks in
hand commit and ends.

Examples:
  $ keystride worker
  $ KEYSTRIDE_TASK_QUEUE=nightly keystride worker`;

/** `keystride worker`: a worker in the foreground, as a process of its own. */
export function workerCommand(): Command {
  return new Command('worker')
    .description('run a worker until it is told to end')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (options: OutputOptions) => {
      process.exitCode = await runWorker();
      if (options.output === 'json') printJson({ exitCode: process.exitCode });
    });
}

function runWorker(): Promise<number> {
  const worker = spawn(process.execPath, [ourModule('worker')], { stdio: 'inherit' });
  // A terminal sends Ctrl-C to the worker by itself; twice would mean "at once".
  const signals = process.stdin.isTTY ? (['SIGTERM'] as const) : (['SIGTERM', 'SIGINT', 'SIGHUP'] as const);
  const forward = (signal: NodeJS.Signals): void => void worker.kill(signal);
  for (const signal of signals) process.on(signal, forward);
  const ignore = (): void => undefined;
  process.on('SIGINT', ignore);
  return new Promise<number>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', (code, signal) =>
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  }).finally(() => {
    for (const signal of signals) process.off(signal, forward);
    process.off('SIGINT', ignore);
  });
}
