import { request } from 'undici';
import type { Classifier } from '../../contract/classification.ts';
import { CallLimiter, type CallTurn, type ShareCalls } from './call-limiter.ts';
import { addressOf, baseOf, boundedCall, createAgent, statusError } from './calls.ts';
import { HttpStatusError, Unacceptable } from './errors.ts';

/** What is posted, and what makes posting it again harmless. */
export interface IdempotentPost extends CallTurn {
  /** Where, below the API's address: `/messages`. */
  readonly path: string;
  /** The same on every attempt, and of no other post: the API does once what it gets under one key. */
  readonly idempotencyKey: string;
  /** The same on every attempt; sent as JSON. */
  readonly body: unknown;
  readonly signal: AbortSignal;
}

/**
 * An HTTP API that honours the header `Idempotency-Key`: a post that is repeated under its key has no second effect. So
 * a call whose answer was lost, or whose caller died before it could write the answer down, is simply made again.
 *
 * This holds for as long as the API remembers its keys; many forget them after a day.
 */
export class IdempotentApi {
  /** All posts go through it. */
  readonly calls: CallLimiter;
  readonly #base: string;
  readonly #agent: ReturnType<typeof createAgent>;
  readonly #sharing: ReturnType<ShareCalls> | undefined;

  /**
   * @param base URL; posts go to `{base}{path}`.
   * @param name what people call it: `the message provider`.
   * @param share divides the calls among all workers. @default each finds out what the API takes
   */
  constructor(base: string, name: string, share?: ShareCalls) {
    this.#base = baseOf(base);
    this.#agent = createAgent(base);
    this.calls = new CallLimiter(name);
    this.#sharing = share?.(this.calls);
  }

  /**
   * Posts, and returns when the API has accepted: any answer from 200 to 299.
   *
   * @throws HttpStatusError, Unacceptable (a path or key that cannot be sent as it is), or the network's error.
   */
  async post(post: IdempotentPost): Promise<void> {
    await this.calls.run(post, () => boundedCall(post.signal, ({ signal }) => this.#send(post, signal)));
  }

  async #send({ path, idempotencyKey, body }: IdempotentPost, signal: AbortSignal): Promise<void> {
    // Other characters are changed on the way, and two keys may become one.
    if (!/^[\x21-\x7E]{1,255}$/u.test(idempotencyKey))
      throw new Unacceptable('an idempotency key must be 1 to 255 visible ASCII characters');
    const response = await request(addressOf(this.#base, path), {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify(body),
      signal,
    });
    if (response.statusCode < 200 || response.statusCode > 299) throw await statusError(response);
    // What it says is of no interest; read to its end, the connection can be used again.
    await response.body.dump();
  }

  async close(): Promise<void> {
    await this.#sharing?.close();
    await this.#agent.close();
  }
}

/**
 * For the step that posts: 409 says that an earlier post under the same key is still being worked on, by a call that
 * was cut off, say. It is tried again until that one is through.
 */
export const classifyInProgress: Classifier = (error) =>
  error instanceof HttpStatusError && error.status === 409
    ? { decision: 'retry', code: 'HTTP_409', unavailable: true }
    : undefined;
