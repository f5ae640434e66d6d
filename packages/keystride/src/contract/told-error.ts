/**
 * An error whose message was written for operators: it may be shown and kept wherever a run leaves something. It says
 * what happened, where and what to do, by names and keys, and quotes no content of a row.
 */
export class ToldError extends Error {
  override readonly name: string = 'ToldError';
}

/** What a person needs to know of a problem: what happened, where (an address without credentials), what to do. */
export interface Problem {
  readonly what: string;
  readonly where: string;
  readonly todo: string;
}

/** A problem as an error, in one line for whoever shows no more than its message. */
export class ProblemError extends ToldError implements Problem {
  override readonly name: string = 'ProblemError';
  readonly what: string;
  readonly where: string;
  readonly todo: string;

  constructor({ what, where, todo }: Problem, options?: ErrorOptions) {
    super(`${what} (${where}). ${todo}`, options);
    this.what = what;
    this.where = where;
    this.todo = todo;
  }
}
