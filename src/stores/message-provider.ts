import { ToldError } from 'keystride';
import type { IdempotentApi } from 'keystride/http';

/** Where messages are sent through, as far as this worker knows. */
export class MessageProvider {
  readonly #api: IdempotentApi | undefined;

  constructor(api: IdempotentApi | undefined) {
    this.#api = api;
  }

  /** The API. @throws ToldError where this worker has none */
  get api(): IdempotentApi {
    if (this.#api) return this.#api;
    throw new ToldError(
      'this worker does not know where the message provider is. ' +
        'Set MESSAGE_PROVIDER_URL for the workers, then start the job again.',
    );
  }

  async close(): Promise<void> {
    await this.#api?.close();
  }
}
