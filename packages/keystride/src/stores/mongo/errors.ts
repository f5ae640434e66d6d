import type { MongoError } from 'mongodb';
import type { ErrorClass } from '../../contract/classification.ts';
import { isDriverError, isOfClass } from './driver-error.ts';

/** Server codes that may pass by themselves: the retryable codes of the drivers' specification, and time-outs. */
const transientCodes: readonly number[] = [
  1, // InternalError: so FerretDB reports that its own database is away
  6, // HostUnreachable
  7, // HostNotFound
  50, // MaxTimeMSExpired
  64, // WriteConcernFailed
  89, // NetworkTimeout
  91, // ShutdownInProgress
  189, // PrimarySteppedDown
  262, // ExceededTimeLimit
  9001, // SocketException
  10107, // NotWritablePrimary
  11600, // InterruptedAtShutdown
  11602, // InterruptedDueToReplStateChange
  13435, // NotPrimaryNoSecondaryOk
  13436, // NotPrimaryOrSecondary
];

/** The code of a write whose key is there already. */
export const duplicateKey = 11000;

/** A bulk write that ended with an error of the driver, not with an answer of the server: a connection lost, say. */
function isBrokenOff(error: MongoError): boolean {
  return (
    isDriverError(error, 'MongoBulkWriteError') &&
    error.code === undefined &&
    [error.writeErrors].flat().length === 0
  );
}

/** Classifies what MongoDB, a server that speaks its protocol, or the way to it has raised. */
export function classifyMongo(error: unknown): ErrorClass | undefined {
  if (!isDriverError(error, 'MongoError')) return undefined;
  const network =
    isOfClass(error, 'MongoNetworkError') ||
    isOfClass(error, 'MongoServerSelectionError') ||
    isBrokenOff(error);
  if (network || error.hasErrorLabel('RetryableWriteError')) {
    return { decision: 'retry', code: 'MONGO_CONNECTION', unavailable: true };
  }
  if (!isOfClass(error, 'MongoServerError'))
    return { decision: 'retry', code: error.name, unavailable: true };
  const code = `MONGO_${error.code ?? 'ERROR'}`;
  return transientCodes.includes(Number(error.code))
    ? { decision: 'retry', code, unavailable: true }
    : { decision: 'fail', code };
}
