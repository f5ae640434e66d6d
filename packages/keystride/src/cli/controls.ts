import type { Command } from 'commander';
import {
  isGrpcDeadlineError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { describeError } from '../contract/errors.ts';
import {
  messages,
  type ControlAnswer,
  type ControlRequest,
  type TuneRequest,
  type Tuning,
} from '../contract/messages.ts';
import { authorOf, type AuthorOptions, withAuthor } from './author.ts';
import { withSession, type Session } from './connection.ts';
import { describe } from './execution.ts';
import { jobFailure } from './failures.ts';
import { shellWord } from '../contract/shell.ts';
import { outputOption, type OutputOptions, wholeNumber } from './options.ts';
import { CommandError, printJson, printLine } from './output.ts';
import { colouredStatus } from './render.ts';
import { keystride } from './called-as.ts';

type Control = 'pause' | 'resume' | 'stop' | 'skip' | 'tune';

interface ControlOptions extends OutputOptions, AuthorOptions {}

interface TuneOptions extends ControlOptions, Tuning {}

/** `keystride pause` */
export const pauseCommand = (command: Command): Command => withReason(command, 'pause');

/** `keystride resume` */
export const resumeCommand = (command: Command): Command => withReason(command, 'resume');

/** `keystride stop` */
export const stopCommand = (command: Command): Command => withReason(command, 'stop');

/** `keystride skip` */
export const skipCommand = (command: Command): Command => withReason(command, 'skip');

function withReason(command: Command, control: Exclude<Control, 'tune'>): Command {
  const example = control === 'resume' ? '' : ' --reason "the API is being upgraded"';
  const why = control === 'resume' ? undefined : 'shown wherever the state is, and kept in the audit';
  return withAuthor(withExamples(command, control, example), why).action(
    (id: string, options: ControlOptions) => send(control, id, authorOf(options), options),
  );
}

/** `keystride tune` */
export function tuneCommand(command: Command): Command {
  return withAuthor(withExamples(command, 'tune', ' --concurrency 100'))
    .option('--chunk-size <n>', 'items in one transaction', wholeNumber(1, 100_000))
    .option(
      '--concurrency <n>',
      'items being processed at a time, over all partitions',
      wholeNumber(1, 10_000),
    )
    .option('--partitions <n>', 'partitions running at a time', wholeNumber(1, 1_000))
    .option(
      '--rows-per-second <n>',
      'items started a second, over all partitions; 0 lifts it',
      wholeNumber(0, 1e9),
    )
    .action((id: string, { output, reason, operator, ...tuning }: TuneOptions) =>
      send('tune', id, { ...tuning, ...authorOf({ reason, operator }) }, { output }),
    );
}

function withExamples(command: Command, control: Control, example = ''): Command {
  return command.addOption(outputOption()).addHelpText('after', helpOf(control, example));
}

function helpOf(control: Control, example: string): string {
  return `
Examples:
  $ keystride ${control} documentMigration:run=2${example}
  $ keystride ${control} documentMigration:run=2${control === 'tune' ? example : ''} -o json

The same without keystride:
  $ temporal workflow update execute --workflow-id documentMigration:run=2 --name ${control}${
    control === 'tune' ? ` --input '{"concurrency":100}'` : ''
  }`;
}

async function send(
  control: Control,
  workflowId: string,
  request: ControlRequest | TuneRequest,
  options: OutputOptions,
): Promise<void> {
  const { status } = await withSession((session) => update(session, control, workflowId, request));
  if (options.output === 'json') return printJson({ workflowId, status });
  printLine(`${workflowId}  ${colouredStatus(status)}`);
}

/** How long a worker may take to answer, in milliseconds. */
const answerWithin = 10_000;

async function update(
  { client }: Session,
  control: Control,
  workflowId: string,
  request: ControlRequest | TuneRequest,
): Promise<ControlAnswer> {
  const { runId, status, taskQueue } = await describe(client, workflowId);
  if (status.name !== 'RUNNING') throw hasEnded(control, workflowId);
  const handle = client.workflow.getHandle(workflowId, runId);
  try {
    return await client.withDeadline(Date.now() + answerWithin, () =>
      handle.executeUpdate<ControlAnswer, [ControlRequest | TuneRequest]>(messages[control], {
        args: [request],
      }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause)
      throw jobFailure(error.cause, { message: describeError(error.cause), details: { workflowId } });
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') throw hasEnded(control, workflowId);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error))
      throw unanswered(control, workflowId, taskQueue, error);
    throw error;
  }
}

function hasEnded(control: Control, workflowId: string): CommandError {
  return new CommandError(
    {
      what: `${workflowId} has ended: there is nothing to ${control}`,
      todo: `See how it ended: ${keystride} status ${shellWord(workflowId)}`,
    },
    { type: 'ControlRefused', details: { workflowId } },
  );
}

function unanswered(control: Control, workflowId: string, taskQueue: string, cause: unknown): CommandError {
  return new CommandError(
    {
      what: `no worker has answered the ${control} within ${answerWithin / 1000} s`,
      where: `task queue ${taskQueue}`,
      todo: `Start a worker: ${keystride} worker\nSee its state, and send it again if need be: ${keystride} status ${shellWord(workflowId)}`,
    },
    { cause, type: 'NoWorker', details: { workflowId } },
  );
}
