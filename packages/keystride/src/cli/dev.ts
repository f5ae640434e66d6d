import type { Command } from 'commander';
import { outputOption, type OutputOptions, wholeNumber } from './options.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { printJson, progressLine } from './output.ts';
import { cacheOf, homeOf } from '../settings/places.ts';
import { progressText, type ProgressEvent } from '../dev/progress.ts';
import { isRunning, livingProcesses, readState, type StackState } from '../dev/state.ts';
import type { KnownAddresses } from '../settings/stack-addresses.ts';
import { loadProject, projectFile, type Project } from '../project/project.ts';
import { keystride } from '../operator/called-as.ts';
import { kebabOf } from '../scaffold/files.ts';

// What starts a stack is loaded when a stack is started: it brings three databases' clients with it.

interface DevOptions extends OutputOptions {
  detach?: true;
  workers: number;
  /** The options of a stub, as one text. */
  [stub: string]: unknown;
}

/** `keystride dev`: everything up on this machine, without docker. It has an option for each stub of the project. */
export async function devCommand(command: Command): Promise<Command> {
  const file = projectFile();
  const project = file === undefined ? undefined : await loadProject(file);
  command
    .option('-d, --detach', 'return when all is up; it goes on until `dev stop`')
    .option('--workers <n>', 'worker processes', wholeNumber(0, 100), project ? 1 : 0);
  for (const { name, standsFor } of project?.config.dev?.stubs ?? [])
    command.option(`--${kebabOf(name)} <options>`, `options of the stub of ${standsFor}`, '');
  command
    .addOption(outputOption())
    .addHelpText('after', help)
    .action((options: DevOptions) =>
      options.detach ? detached(options, project) : foreground(options, project),
    );
  command
    .command('status')
    .description('say what runs and where; exit code 1 when nothing does')
    .addOption(outputOption())
    .action((_: OutputOptions, own: Command) => status(outputOf(own)));
  command
    .command('stop')
    .description('end the stack, or what a killed one left behind')
    .addOption(outputOption())
    .action((_: OutputOptions, own: Command) => stop(outputOf(own)));
  command
    .command('worker')
    .description('start more worker processes for the running stack')
    .option('--count <n>', 'how many', wholeNumber(1, 100), 1)
    .addOption(outputOption())
    .action(({ count }: { count: number }, own: Command) => addWorkers({ ...outputOf(own), count }));
  return command;
}

/** `dev -o json status` means the same as `dev status -o json`. */
function outputOf(command: Command): OutputOptions {
  const given = [command, command.parent].find((one) => one?.getOptionValueSource('output') === 'cli');
  return (given ?? command).opts<OutputOptions>();
}

const help = `
A part that the environment names is used as it is: TEMPORAL_ADDRESS (or temporal.toml), DATABASE_URL,
SOURCE_DATABASE_URL, MONGODB_URL, and the variables of the stubs that keystride.config.ts names. The others are found on
PATH, fetched or built, once.

Environment:
  KEYSTRIDE_HOME   data, logs and the description of the stack (default ~/.keystride, for root /var/lib/keystride)
  KEYSTRIDE_CACHE  fetched and built programs, compiled code (default: cache below the home)

Examples:
  $ keystride dev                           in the foreground, Ctrl-C ends it
  $ keystride dev --detach -o json          returns when all is up, addresses as one line of JSON
  $ keystride dev worker --count 2          two more workers
  $ keystride dev status
  $ keystride dev stop`;

async function foreground(options: DevOptions, project: Project | undefined): Promise<void> {
  const { supervise } = await import('../dev/supervise.ts');
  const { stack, ended } = await supervise({
    ...stackOptions(options, project),
    ...(project && { project }),
    onProgress: showProgress,
  });
  if (options.output === 'json') printJson(addressesAndWorkers(stack.info, stack.info.workers));
  else showAddresses(stack.info);
  if (options.output === 'text') progressLine('Ctrl-C ends all of it.');
  await ended;
  process.exit(exitCodes.done);
}

async function detached(options: DevOptions, project: Project | undefined): Promise<void> {
  const { detachStack, livingWorkers } = await import('../dev/detach.ts');
  const state = await detachStack(
    { ...stackOptions(options, project), ...(project && { project: project.file }) },
    showProgress,
  );
  if (options.output === 'json') return printJson(addressesAndWorkers(state.addresses, livingWorkers(state)));
  showAddresses(state.addresses);
  progressLine(`\`${keystride} dev status\` shows it, \`${keystride} dev stop\` ends it.`);
}

function status(options: OutputOptions): void {
  const home = homeOf(process.env);
  const state = readState(home);
  const running = state !== undefined && isRunning(state);
  if (!running) process.exitCode = exitCodes.failed;
  if (options.output === 'json') return printJson(statusJson(home, state, running));
  if (state === undefined)
    return progressLine(`no stack runs in ${home}; \`${keystride} dev --detach\` starts one`);
  progressLine(headline(home, state, running));
  const living = new Set(livingProcesses(state));
  for (const process of state.processes)
    progressLine(
      `  ${process.name.padEnd(15)} ${living.has(process) ? `process ${process.identity.pid}` : 'has died'}`,
    );
  if (running) showAddresses(state.addresses);
}

function headline(home: string, state: StackState, running: boolean): string {
  const who = `process ${state.supervisor.pid}`;
  if (!running)
    return `the stack in ${home} lost its supervisor (${who}); \`${keystride} dev stop\` or \`${keystride} dev --detach\` cleans up`;
  return state.status === 'up' ? `up in ${home}, supervised by ${who}` : `starting in ${home}, ${who}`;
}

function statusJson(home: string, state: StackState | undefined, running: boolean): unknown {
  if (state === undefined) return { running, home };
  const living = new Set(livingProcesses(state));
  const processes = state.processes.map((process) => ({
    name: process.name,
    pid: process.identity.pid,
    alive: living.has(process),
  }));
  const workers = processes
    .filter(({ name, alive }) => alive && name.startsWith('worker-'))
    .map(({ pid }) => ({ pid }));
  return {
    running,
    status: running ? state.status : 'died',
    home,
    supervisor: { pid: state.supervisor.pid },
    ...addressesAndWorkers(running ? state.addresses : {}, workers),
    processes,
  };
}

async function stop(options: OutputOptions): Promise<void> {
  const { stopStack } = await import('../dev/detach.ts');
  const stopped = await stopStack(homeOf(process.env));
  if (options.output === 'json') return printJson({ stopped });
  progressLine(stopped.length === 0 ? 'nothing runs' : `stopped ${stopped.join(', ')}`);
}

async function addWorkers(options: OutputOptions & { count: number }): Promise<void> {
  const home = homeOf(process.env);
  const state = readState(home);
  if (state === undefined || !isRunning(state))
    throw new CommandError({
      what: 'no stack runs',
      where: home,
      todo: `Start one: ${keystride} dev --detach`,
    });
  const { askSupervisor } = await import('../dev/control.ts');
  const pids = await askSupervisor(state, { do: 'addWorkers', count: options.count });
  if (options.output === 'json') return printJson({ workers: pids.map((pid) => ({ pid })) });
  progressLine(`started ${pids.map((pid) => `process ${pid}`).join(', ')}`);
}

function stackOptions(options: DevOptions, project: Project | undefined) {
  const stubs = project?.config.dev?.stubs ?? [];
  return {
    home: homeOf(process.env),
    cache: cacheOf(process.env),
    workers: options.workers,
    stubArguments: Object.fromEntries(stubs.map(({ name }) => [name, wordsOf(options[name])])),
  };
}

function wordsOf(text: unknown): string[] {
  return String(text)
    .split(/\s+/)
    .filter((word) => word !== '');
}

function addressesAndWorkers(addresses: KnownAddresses, workers: { pid: number }[]) {
  const {
    temporalAddress,
    temporalNamespace,
    temporalUiUrl,
    consoleUrl,
    codecServerUrl,
    databaseUrl,
    sourceDatabaseUrl,
    mongodbUrl,
    stubs,
  } = addresses;
  return {
    temporalAddress,
    temporalNamespace,
    temporalUiUrl,
    consoleUrl,
    codecServerUrl,
    databaseUrl,
    sourceDatabaseUrl,
    mongodbUrl,
    stubs,
    workers,
  };
}

function showAddresses(addresses: KnownAddresses): void {
  const lines: [string, string | undefined][] = [
    ['TEMPORAL_ADDRESS', addresses.temporalAddress],
    ['TEMPORAL_UI_URL', addresses.temporalUiUrl],
    ['KEYSTRIDE_CONSOLE_URL', addresses.consoleUrl],
    ['KEYSTRIDE_CODEC_SERVER_URL', addresses.codecServerUrl],
    ['DATABASE_URL', addresses.databaseUrl],
    ['SOURCE_DATABASE_URL', addresses.sourceDatabaseUrl],
    ['MONGODB_URL', addresses.mongodbUrl],
    ...Object.entries(addresses.stubs ?? {}),
  ];
  for (const [name, value] of lines) if (value !== undefined) process.stdout.write(`${name}=${value}\n`);
}

function showProgress(event: ProgressEvent): void {
  progressLine(progressText(event));
}
