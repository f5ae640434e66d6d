import pg from 'pg';

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
