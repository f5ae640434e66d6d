import type { Command } from 'commander';
import { shellWord } from '../contract/shell.ts';
import { commandAuthor } from '../operator/author.ts';
import { withSession } from '../operator/connection.ts';
import {
  jobNamed,
  type StartedRun,
  startRequest,
  type StartRequest,
  startRun,
  untilOpened,
} from '../operator/start.ts';
import { type AuthorOptions, withAuthor } from './author.ts';
import { chosenId, outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { type ParameterOptions, parametersOf, withParameters } from './parameters.ts';
import { reportEnd } from './status.ts';
import { watchOrDetach } from './watch.ts';
import { keystride } from '../operator/called-as.ts';

interface StartOptions extends OutputOptions, AuthorOptions, ParameterOptions {
  watch?: true;
  id?: string;
}

const help = `
The id of the run is its instance: the job with its identifying parameters. Starting twice is safe: while the instance
runs, and once it has completed, a second start is refused; a failed or stopped one goes on from what has committed.

Examples:
  $ keystride start targetSync
  $ keystride start documentMigration --param run=2 --param inFlight=100 --watch
  $ keystride start documentMigration -o json

The same without keystride:
  $ temporal workflow start --type documentMigration --task-queue keystride --workflow-id documentMigration:run=2 \\
      --input '{"run":2}'`;

/** `keystride start`: starts a job, or goes on with one that has failed or was stopped. */
export function startCommand(command: Command): Command {
  return withParameters(withAuthor(command))
    .option('-w, --watch', 'show the progress until the run ends')
    .option('--id <id>', 'another workflow id than the instance key', chosenId)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(start);
}

async function start(name: string, options: StartOptions): Promise<void> {
  const request = await requestOf(name, options);
  await withSession(async (session) => {
    const run = await startRun(session, request);
    const opened = await untilOpened(session, run);
    // With --watch and JSON the final status is the one value; the start is told to people all the same.
    if (options.output === 'text' || options.watch)
      announce(run, options.output === 'text' ? printLine : progressLine);
    if (!opened)
      progressLine(`no worker polls task queue ${run.taskQueue}; the run waits for one: ${keystride} worker`);
    if (!options.watch) return options.output === 'json' ? printJson(run) : undefined;
    const ended = await watchOrDetach(session.client, run.workflowId, options.output);
    if (ended) await reportEnd(ended.progress, options.output);
  });
}

async function requestOf(name: string, options: StartOptions): Promise<StartRequest> {
  const job = await jobNamed(name, 'Start');
  const request = startRequest(job, await parametersOf(job, options), options.id);
  return { ...request, author: commandAuthor(options) };
}

/** Says that a run has started, and what can be done with it. */
export function announce(run: StartedRun, print: (text: string) => void): void {
  const id = shellWord(run.workflowId);
  print(`started ${run.workflowId}`);
  print(`  run   ${run.runId}`);
  if (run.uiUrl !== undefined) print(`  UI    ${run.uiUrl}`);
  print(`  next  ${keystride} status ${id} --watch`);
  print(`        ${keystride} pause ${id}`);
  print(`        ${keystride} stop ${id}`);
}
