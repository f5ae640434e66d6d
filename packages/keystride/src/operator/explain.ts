import { isGrpcServiceError, ServiceError, WorkflowNotFoundError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import pg from 'pg';
import { loadSettings } from '../dev/settings.ts';
import { ConfigError } from '../settings/config.ts';
import { oneLine } from '../contract/inert.ts';
import { UnreachablePart } from '../host/unreachable-part.ts';
import { databaseProblemOf } from '../stores/postgres/problems.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { temporalCommand } from './temporal-command.ts';
import { withoutCredentials } from '../settings/environment.ts';
import { ProblemError, ToldError } from '../contract/told-error.ts';
import { jobFailure, notFound } from './failures.ts';
import { CommandError } from './command-error.ts';
import { keystride } from './called-as.ts';

/** Turns whatever a command ran into something that says what, where and what to do; a defect of ours stays as it is. */
export function explain(error: unknown): unknown {
  if (error instanceof CommandError) return error;
  if (error instanceof ProblemError)
    return new CommandError({ what: error.what, where: error.where, todo: error.todo }, { cause: error });
  if (error instanceof ConfigError) return configurationProblem(error);
  if (error instanceof ApplicationFailure) return jobFailure(error);
  if (error instanceof WorkflowNotFoundError) return notFound(error.workflowId, error);
  if (error instanceof UnreachablePart)
    return new CommandError(
      { what: error.what, where: error.where, todo: error.todo },
      { cause: error, type: 'Unreachable' },
    );
  if (error instanceof pg.DatabaseError) return unplaced(error);
  if (error instanceof ToldError)
    return new CommandError(
      { what: oneLine(error.message), todo: 'Do what the message says; --debug shows where it came up.' },
      { cause: error, type: error.name },
    );
  return temporalProblem(error) ?? error;
}

/** Whoever asked did not say which of the databases it was. */
function unplaced(error: pg.DatabaseError): CommandError {
  const problem = databaseProblemOf(error, { url: '', variable: 'DATABASE_URL or SOURCE_DATABASE_URL' });
  const { what, todo } = problem ?? { what: reasonOf(error), todo: 'Try again with --debug.' };
  return new CommandError({ what, todo }, { cause: error, type: 'Database' });
}

/** PostgreSQL could not be used: says why, where, without the password, and what helps. */
export function databaseProblem(error: unknown, url: string, variable: string): CommandError {
  const { what, todo } = databaseProblemOf(error, { url, variable }) ?? {
    what: `the database cannot be used: ${reasonOf(error)}`,
    todo: `Look at it, or correct ${variable}.`,
  };
  return new CommandError({ what, where: withoutCredentials(url), todo }, { cause: error, type: 'Database' });
}

/** The reason in an error, as far as it may be shown, in one line. What we say ourselves stands as it is. */
export function reasonOf(error: unknown): string {
  return oneLine(error instanceof ToldError ? error.message : safeMessage(error));
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
    todo: `Start it, correct TEMPORAL_ADDRESS, or run: ${keystride} dev --detach`,
  },
  16: { what: 'Temporal refuses the credentials', todo: 'Check TEMPORAL_API_KEY and the certificates.' },
};

function noNamespace(cause: unknown): CommandError {
  const config = loadSettings(process.env, ['temporal']);
  const { address, namespace } = config.temporal;
  const create = temporalCommand(config, 'operator', 'namespace', 'create');
  return new CommandError(
    {
      what: `Temporal has no namespace ${namespace}`,
      where: address,
      todo: `Correct TEMPORAL_NAMESPACE, or make it: ${create}`,
    },
    { cause, type: 'Temporal' },
  );
}

function temporalProblem(error: unknown): CommandError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at.name === 'NamespaceNotFoundError' || /^Namespace \S+ is not found/u.test(at.message))
      return noNamespace(error);
    if (!isGrpcServiceError(at)) continue;
    if (/^Namespace \S+ is not found/u.test(at.details)) return noNamespace(error);
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
