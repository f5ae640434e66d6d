import { ToldError } from '../contract/errors.ts';

/** What is to be said of a part that is needed and cannot be had. */
interface Parts {
  /** All of it in one line, for the log of a worker. */
  readonly message: string;
  /** What is the matter. */
  readonly what: string;
  /** Its address, without credentials. */
  readonly where?: string | undefined;
  /** What helps. */
  readonly todo: string;
}

/** A part that a worker, or a plan, needs and cannot reach. The message says which, where, and what to do. */
export class UnreachablePart extends ToldError {
  override readonly name = 'UnreachablePart';
  readonly what: string;
  readonly where: string | undefined;
  readonly todo: string;

  constructor({ message, what, where, todo }: Parts, options?: ErrorOptions) {
    super(message, options);
    this.what = what;
    this.where = where;
    this.todo = todo;
  }
}
