import type { ContentfulStatusCode } from 'hono/utils/http-status';

/** A request that the console does not answer, and why, in words for whoever sent it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: ContentfulStatusCode;
  readonly todo: string;

  constructor(status: ContentfulStatusCode, what: string, todo: string) {
    super(what);
    this.status = status;
    this.todo = todo;
  }
}
