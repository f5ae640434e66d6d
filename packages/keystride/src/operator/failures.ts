import { oneLine } from '../contract/inert.ts';
import { failureTypeOf, type FailureType } from '../contract/errors.ts';
import { shellWord } from '../contract/shell.ts';
import { CommandError, exitCodes } from './command-error.ts';
import { keystride } from './called-as.ts';

/** No execution has this id. */
export function notFound(workflowId: string, cause?: unknown): CommandError {
  return new CommandError(
    { what: `no job execution has the id ${workflowId}`, todo: `See which there are: ${keystride} list` },
    { cause, type: 'NotFound', details: { workflowId } },
  );
}

/** A failure that the engine has raised, as a command says it. */
export function jobFailure(
  error: Error,
  options: { message?: string; details?: Readonly<Record<string, unknown>> } = {},
): CommandError {
  const type = failureTypeOf(error);
  const todo = (type && todos[type]) ?? `Look at the run, here or in the Temporal UI: ${keystride} status ID`;
  const { workflowId } = options.details ?? {};
  const id = typeof workflowId === 'string' ? shellWord(workflowId) : 'ID';
  return new CommandError(
    { what: oneLine(options.message ?? error.message), todo: todo.replaceAll(/\bID\b/g, () => id) },
    {
      cause: error,
      type: type ?? error.name,
      exitCode: type === 'JobParametersInvalid' ? exitCodes.usage : exitCodes.failed,
      ...(options.details && { details: options.details }),
    },
  );
}

const todos: Partial<Record<FailureType, string>> = {
  JobExecutionAlreadyRunning: `Watch it: ${keystride} status ID --watch\nEnd it: ${keystride} stop ID`,
  JobInstanceAlreadyComplete: `To run the job again, give another identifying parameter. See which: ${keystride} jobs`,
  JobParametersInvalid: `See the parameters of each job: ${keystride} jobs`,
  ControlRefused: `See its state: ${keystride} status ID`,
  NothingToRedrive: `See which skips are open: ${keystride} skips ID list`,
  RepairRefused: `See its state: ${keystride} status ID`,
  RedriveRefused: `They can be waived: ${keystride} skips ID waive --reason "…"`,
  UnknownJob: `Start workers of this release: ${keystride} worker`,
  OtherProject: 'docs/operations.md, Several projects upon one ledger.',
  KeyOrderChanged: 'docs/operations.md, Failover and restore.',
  LedgerBehind:
    'Start it again: it goes on from what the ledger has. docs/operations.md, Failover and restore.',
  OtherLedger: 'Correct DATABASE_URL of the worker. docs/operations.md, Failover and restore.',
};
