import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { ourModule } from '../dev/own-files.ts';
import { withBoundedMemory } from '../host/worker-memory.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson } from './output.ts';
import { keystride } from './called-as.ts';

const help = `
It takes its settings from the environment: TEMPORAL_ADDRESS (or temporal.toml), DATABASE_URL, SOURCE_DATABASE_URL,
MONGODB_URL, LEGACY_API_URL and, for the jobs that send messages, MESSAGE_PROVIDER_URL; what is missing there, from the
stack of \`${keystride} dev\`. On SIGTERM it lets the chunks in hand commit and ends.

With --deployment and --build-id (or KEYSTRIDE_DEPLOYMENT and KEYSTRIDE_BUILD_ID) a run stays with the build that began
it. New runs go to the build that is current:
  temporal worker deployment set-current-version --deployment-name NAME --build-id ID

Runs go to task queue KEYSTRIDE_TASK_QUEUE (keystride), those of some jobs to queues of their own with KEYSTRIDE_QUEUES:
whoever starts them and every worker must have it alike. A worker polls all of them, or those that --queues names.

With --target-cpu or --target-memory it takes no more pages while the whole machine is busier than that.

Examples:
  $ keystride worker
  $ keystride worker --deployment keystride --build-id "$(git rev-parse --short HEAD)"
  $ KEYSTRIDE_TASK_QUEUE=nightly keystride worker
  $ KEYSTRIDE_QUEUES=documentMigration=documents keystride worker --queues documents
  $ keystride worker --target-cpu 0.8`;

interface WorkerOptions extends OutputOptions {
  deployment?: string;
  buildId?: string;
  queues?: string;
  activities?: string;
  targetCpu?: string;
  targetMemory?: string;
}

/** `keystride worker`: a worker in the foreground, as a process of its own. */
export function workerCommand(command: Command): Command {
  return command
    .option('--deployment <name>', 'what its builds have in common, with --build-id')
    .option('--build-id <id>', 'this build of the workers, with --deployment')
    .option('--queues <names>', 'the task queues to poll, with commas (all that KEYSTRIDE_QUEUES names)')
    .option('--activities <n>', 'pages and other activities at a time (100)')
    .option('--target-cpu <share>', 'take no more pages while more of the machine is busy, such as 0.8')
    .option('--target-memory <share>', 'take no more pages while more of its memory is in use')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (options: WorkerOptions) => {
      process.exitCode = await runWorker(options);
      if (options.output === 'json') printJson({ exitCode: process.exitCode });
    });
}

/** What an option says goes before the environment. */
function environmentOf(options: WorkerOptions): NodeJS.ProcessEnv {
  const given = {
    KEYSTRIDE_DEPLOYMENT: options.deployment,
    KEYSTRIDE_BUILD_ID: options.buildId,
    KEYSTRIDE_WORKER_QUEUES: options.queues,
    KEYSTRIDE_ACTIVITIES: options.activities,
    KEYSTRIDE_TARGET_CPU: options.targetCpu,
    KEYSTRIDE_TARGET_MEMORY: options.targetMemory,
  };
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...process.env, ...Object.fromEntries(said) };
}

function runWorker(options: WorkerOptions): Promise<number> {
  const env = withBoundedMemory(environmentOf(options));
  const worker = spawn(process.execPath, [ourModule('host/worker-program')], { stdio: 'inherit', env });
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
