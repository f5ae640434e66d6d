import { Command } from 'commander';
import {
  isGrpcDeadlineError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { describeError } from '../contract/errors.ts';
import { messages, type ControlAnswer, type ControlRequest } from '../contract/messages.ts';
import { withSession, type Session } from './connection.ts';
import { describe } from './execution.ts';
import { jobFailure } from './failures.ts';
import { shellWord } from './format.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, printJson, printLine } from './output.ts';
import { colouredStatus } from './render.ts';

type Control = 'pause' | 'resume' | 'stop';

interface ControlOptions extends OutputOptions {
  reason?: string;
}

const descriptions: Record<Control, string> = {
  pause: 'let the chunks in hand commit, then wait',
  resume: 'go on after a pause',
  stop: 'let the chunks in hand commit, then end; a new start goes on from there',
};

/** `keystride pause`, `resume` and `stop`: one command each. */
export function controlCommands(): Command[] {
  return (Object.keys(descriptions) as Control[]).map(controlCommand);
}

function controlCommand(control: Control): Command {
  const command = new Command(control)
    .description(descriptions[control])
    .argument('<id>', 'the workflow id, see `keystride list`')
    .addOption(outputOption())
    .addHelpText('after', helpOf(control))
    .action((id: string, options: ControlOptions) => send(control, id, options));
  return control === 'resume' ? command : command.option('--reason <text>', 'shown wherever the state is');
}

function helpOf(control: Control): string {
  const reason = control === 'resume' ? '' : ' --reason "the API is being upgraded"';
  return `
Examples:
  $ keystride ${control} documentMigration:run=2${reason}
  $ keystride ${control} documentMigration:run=2 -o json

The same without keystride:
  $ temporal workflow update execute --workflow-id documentMigration:run=2 --name ${control}`;
}

async function send(control: Control, workflowId: string, options: ControlOptions): Promise<void> {
  const { status } = await withSession((session) => update(session, control, workflowId, options));
  if (options.output === 'json') return printJson({ workflowId, status });
  printLine(`${workflowId}  ${colouredStatus(status)}`);
}

/** How long a worker may take to answer, in milliseconds. */
const answerWithin = 10_000;

async function update(
  { client, config }: Session,
  control: Control,
  workflowId: string,
  { reason }: ControlOptions,
): Promise<ControlAnswer> {
  const { runId, status } = await describe(client, workflowId);
  if (status.name !== 'RUNNING') throw hasEnded(control, workflowId);
  const request: ControlRequest = reason === undefined ? {} : { reason };
  const handle = client.workflow.getHandle(workflowId, runId);
  try {
    return await client.withDeadline(Date.now() + answerWithin, () =>
      handle.executeUpdate<ControlAnswer, [ControlRequest]>(messages[control], { args: [request] }),
    );
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause)
      throw jobFailure(error.cause, { message: describeError(error.cause), details: { workflowId } });
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') throw hasEnded(control, workflowId);
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || isGrpcDeadlineError(error))
      throw unanswered(control, workflowId, config.taskQueue, error);
    throw error;
  }
}

function hasEnded(control: Control, workflowId: string): CommandError {
  return new CommandError(
    {
      what: `${workflowId} has ended: there is nothing to ${control}`,
      todo: `See how it ended: keystride status ${shellWord(workflowId)}`,
    },
    { type: 'ControlRefused', details: { workflowId } },
  );
}

function unanswered(control: Control, workflowId: string, taskQueue: string, cause: unknown): CommandError {
  return new CommandError(
    {
      what: `no worker has answered the ${control} within ${answerWithin / 1000} s`,
      where: `task queue ${taskQueue}`,
      todo: `Start a worker (keystride worker), see keystride status ${shellWord(workflowId)}, and send it again if need be.`,
    },
    { cause, type: 'NoWorker', details: { workflowId } },
  );
}
