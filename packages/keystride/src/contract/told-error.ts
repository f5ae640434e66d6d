/**
 * An error whose message was written for operators: it may be shown and kept wherever a run leaves something. It says
 * what happened, where and what to do, by names and keys, and quotes no content of a row.
 */
export class ToldError extends Error {
  override readonly name: string = 'ToldError';
}
