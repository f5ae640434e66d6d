import pg from 'pg';
import { ToldError } from '../../contract/errors.ts';

export const foreignKeyViolation = '23503';

const ofReference: readonly string[] = [foreignKeyViolation, '23001'];

/** A reference, a unique value, an exclusion: what other rows have decides whether they hold. */
const betweenRows: readonly string[] = [...ofReference, '23505', '23P01'];

/** Whether another row is the reason that one was not taken. */
export function isBetweenRows(error: unknown): error is pg.DatabaseError & { readonly code: string } {
  return error instanceof pg.DatabaseError && betweenRows.includes(error.code ?? '');
}

/** Whether what a row refers to, or what refers to it, is the reason. */
export function isOfReference(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ofReference.includes(error.code ?? '');
}

/** Whether another row has what only one may have. */
export function isOfUnique(error: unknown): boolean {
  return isBetweenRows(error) && !isOfReference(error);
}

/** Whether a constraint of the sink is not met, of whichever kind. */
export function isOfIntegrity(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code?.startsWith('23') === true;
}

/** Others refer to a table, or constraints of it wait: TRUNCATE is refused where the same rows can be removed. */
export function isNotTruncated(error: unknown): boolean {
  return error instanceof pg.DatabaseError && ['0A000', '55006'].includes(error.code ?? '');
}

/** A constraint of the sink that may wait is not met when all has been applied, and does not say by which of the rows. */
export class ConstraintsNotMet extends ToldError {
  override readonly name = 'ConstraintsNotMet';
}

export function constraintsNotMet(cause: pg.DatabaseError): ConstraintsNotMet {
  return new ConstraintsNotMet(`a constraint of the sink that may wait is not met (SQLSTATE ${cause.code})`, {
    cause,
  });
}
