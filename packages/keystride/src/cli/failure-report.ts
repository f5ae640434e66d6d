import { isGrpcServiceError } from '@temporalio/client';
import pc from 'picocolors';
import { framesOf, safeMessage } from '../stores/safe-message.ts';
import { causesOf } from '../stores/causes.ts';
import { explain } from '../operator/explain.ts';
import { CommandError, exitCodes, problemJson } from '../operator/command-error.ts';
import { printJson, printProblem, progressLine } from './output.ts';

/**
 * Says on stderr why a command has failed: what, where, what to do; and sets the exit code. Loading this loads whatever
 * can fail, so it is loaded when something has.
 *
 * @param options.debug also what it was caused by, as far as that may be told, and the frames: a driver's message may
 *   quote a row.
 * @param options.json says it on stdout too.
 */
export function reportFailure(error: unknown, { debug, json }: { debug: boolean; json: boolean }): void {
  const explained = explain(error);
  const known = explained instanceof CommandError;
  if (known) printProblem(explained);
  else {
    progressLine(pc.red(safeMessage(explained)));
    if (!debug) progressLine('  to do: this is a defect of keystride; --debug shows where');
  }
  if (debug && explained instanceof Error) {
    if (explained.cause !== undefined) progressLine(pc.dim(`caused by ${causeOf(explained.cause)}`));
    progressLine(pc.dim(framesOf(explained)));
  }
  if (json)
    printJson(
      known ? problemJson(explained) : { error: { type: 'Defect', message: safeMessage(explained) } },
    );
  process.exitCode = known ? explained.exitCode : exitCodes.failed;
}

/** Temporal's own answer is told: it knows no rows. */
function causeOf(cause: unknown): string {
  const answer = causesOf(cause).find((at) => isGrpcServiceError(at));
  return answer ? `${safeMessage(cause)}: ${answer.details} (gRPC ${answer.code})` : safeMessage(cause);
}
