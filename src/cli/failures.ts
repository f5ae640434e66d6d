import { isGrpcServiceError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import { ConfigError } from '../config.ts';
import { withoutCredentials } from '../environment.ts';
import { failureTypeOf, type FailureType } from '../contract/errors.ts';
import { PartError } from '../dev/part.ts';
import { shellWord } from './format.ts';
import { CommandError, exitCodes } from './output.ts';

/** Turns whatever a command ran into something that says what, where and what to do; a defect of ours stays as it is. */
export function explain(error: unknown): unknown {
  if (error instanceof CommandError) return error;
  if (error instanceof PartError)
    return new CommandError({ what: error.what, where: error.where, todo: error.todo }, { cause: error });
  if (error instanceof ConfigError) return configurationProblem(error);
  if (error instanceof ApplicationFailure) return jobFailure(error);
  if (error instanceof WorkflowNotFoundError) return notFound(error.workflowId, error);
  return temporalProblem(error) ?? error;
}

/** No execution has this id. */
export function notFound(workflowId: string, cause?: unknown): CommandError {
  return new CommandError(
    { what: `no job execution has the id ${workflowId}`, todo: 'See which there are: keystride list' },
    { cause, type: 'NotFound', details: { workflowId } },
  );
}

/** A failure that the engine has raised, as a command says it. */
export function jobFailure(
  error: Error,
  options: { message?: string; details?: Readonly<Record<string, unknown>> } = {},
): CommandError {
  const type = failureTypeOf(error);
  const todo = (type && todos[type]) ?? 'Look at the run: keystride status ID, or the Temporal UI.';
  const { workflowId } = options.details ?? {};
  const id = typeof workflowId === 'string' ? shellWord(workflowId) : 'ID';
  return new CommandError(
    { what: options.message ?? error.message, todo: todo.replaceAll(/\bID\b/g, () => id) },
    {
      cause: error,
      type: type ?? error.name,
      exitCode: type === 'JobParametersInvalid' ? exitCodes.usage : exitCodes.failed,
      ...(options.details && { details: options.details }),
    },
  );
}

const todos: Partial<Record<FailureType, string>> = {
  JobExecutionAlreadyRunning: 'Watch it: keystride status ID --watch. To end it: keystride stop ID.',
  JobInstanceAlreadyComplete:
    'To run the job again, give another identifying parameter; keystride jobs names them.',
  JobParametersInvalid: 'keystride jobs shows the parameters of each job.',
  ControlRefused: 'See its state: keystride status ID.',
  NothingToRedrive: 'See which skips are open: keystride skips ID list.',
  RepairRefused: 'See its state: keystride status ID.',
  RedriveRefused: 'They can be waived: keystride skips ID waive --reason "…"',
  LedgerBehind:
    'Start it again: it goes on from what the ledger has. docs/operations.md, Failover and restore.',
  OtherLedger: 'Correct DATABASE_URL of the worker. docs/operations.md, Failover and restore.',
  UnknownJob: 'Start workers of this release: keystride worker.',
};

/** PostgreSQL could not be used: says where, without the password, and not in the driver's words alone. */
export function databaseProblem(error: unknown, url: string, variable: string): CommandError {
  const missing = error instanceof pg.DatabaseError && (error.code === '42P01' || error.code === '3F000');
  const refused = error instanceof pg.DatabaseError && (error.code ?? '').startsWith('28');
  const what = missing
    ? 'the tables of keystride are missing in the database'
    : refused
      ? 'the database refuses this user or password'
      : `the database does not answer: ${reasonOf(error)}`;
  const todo = missing ? 'Run: keystride migrate' : `Start it, or correct ${variable}.`;
  return new CommandError({ what, where: withoutCredentials(url), todo }, { cause: error, type: 'Database' });
}

/** The reason in an error, also in one that holds several, as for a name with two addresses. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

function configurationProblem(error: ConfigError): CommandError {
  const what = error.problems.map(({ variable, problem }) => `${variable} ${problem}`).join('\n');
  return new CommandError({ what, todo: error.todo }, { cause: error, type: 'Configuration' });
}

/** gRPC's codes that a person can do something about. */
const grpcProblems: Record<number, { what: string; todo: string }> = {
  4: {
    what: 'Temporal did not answer in time',
    todo: 'Try again; if it goes on, look at the server and its load.',
  },
  5: { what: 'Temporal does not know what was asked for', todo: 'Check the id and TEMPORAL_NAMESPACE.' },
  7: {
    what: 'Temporal refuses access',
    todo: 'Check TEMPORAL_API_KEY, the certificates and TEMPORAL_NAMESPACE.',
  },
  14: {
    what: 'Temporal does not answer',
    todo: 'Start it, correct TEMPORAL_ADDRESS, or run: keystride dev --detach',
  },
  16: { what: 'Temporal refuses the credentials', todo: 'Check TEMPORAL_API_KEY and the certificates.' },
};

function temporalProblem(error: unknown): CommandError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!isGrpcServiceError(at)) continue;
    const known = grpcProblems[at.code];
    const what = known?.what ?? `Temporal answered with an error: ${at.details}`;
    const todo = known?.todo ?? 'Look at the server, or try again with --debug.';
    return new CommandError({ what, todo }, { cause: error, type: 'Temporal' });
  }
  if (!(error instanceof ServiceError)) return undefined;
  return new CommandError(
    { what: 'Temporal did not do what was asked for', todo: 'Try again with --debug to see its answer.' },
    { cause: error, type: 'Temporal' },
  );
}
