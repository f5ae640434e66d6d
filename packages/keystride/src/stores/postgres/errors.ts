import pg from 'pg';
import type { ErrorClass } from '../../contract/classification.ts';
import { ToldError } from '../../contract/told-error.ts';

/** SQLSTATE classes and codes that may pass by themselves. Appendix A of the PostgreSQL manual names them. */
const transientStates: readonly string[] = [
  '08', // connection exception
  '28', // invalid authorization: a password is being replaced
  '40', // transaction rollback: serialization failure, deadlock
  '53', // insufficient resources: too many connections, disk full, out of memory
  '55P03', // lock not available (lock_timeout)
  '57014', // query cancelled (statement_timeout)
  '57P', // operator intervention: shutdown, crash, cannot connect now
  '58', // system error
  '25006', // read-only transaction: a failover is under way
  '25P03', // idle-in-transaction time-out
];

/** The code of a statement that was cancelled: by its time-out, or by somebody whom it disturbed. */
export const statementCancelled = 'SQLSTATE_57014';

/** States that say the server or the way to it is away, not that one statement was unlucky. */
const awayStates: readonly string[] = ['08', '28', '53', '57P', '58', '25006'];

const networkCodes: readonly string[] = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
];

/** The messages that `pg` gives, without a code, when a connection is lost or none can be had. */
export const connectionLost =
  /connection terminated|connection ended|client has encountered a connection error|timeout exceeded when trying to connect|query read timeout/i;

/** None of the hosts of an address has a session of the kind that `target_session_attrs` asks for. */
export class NoSuchSession extends ToldError {
  override readonly name = 'NoSuchSession';
}

/** Classifies what PostgreSQL or the way to it has raised. */
export function classifyPostgres(error: unknown): ErrorClass | undefined {
  if (error instanceof pg.DatabaseError && error.code !== undefined) {
    const state = error.code;
    const code = `SQLSTATE_${state}`;
    if (!transientStates.some((prefix) => state.startsWith(prefix))) return { decision: 'fail', code };
    return { decision: 'retry', code, unavailable: awayStates.some((prefix) => state.startsWith(prefix)) };
  }
  if (error instanceof NoSuchSession)
    return { decision: 'retry', code: 'NO_SUCH_SESSION', unavailable: true };
  return isConnectionLost(error)
    ? { decision: 'retry', code: 'CONNECTION_LOST', unavailable: true }
    : undefined;
}

/** Whether a session could not write, since its server is a standby or was set to be read only. */
export function isReadOnly(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError && error.code === '25006';
}

/** Whether the server knows us and does not let us in: a wrong password, no such database. */
export function isRefused(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  return error.code?.startsWith('28') === true || classifyPostgres(error)?.decision === 'fail';
}

/** Whether the connection went away, so that nobody knows what became of the last statement. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError)
    return error.code?.startsWith('57P') === true || error.code === '25P03';
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return networkCodes.includes(code) || connectionLost.test(error.message);
}
