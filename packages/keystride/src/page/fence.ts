import type { WriteToken } from '../contract/write-attempt.ts';
import type { Transaction } from '../stores/postgres/transaction.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nextFence } from '../ledger/fence.ts';

/** The token under which an attempt writes to other stores, for as long as it holds its place in the ledger. */
export class Fence {
  readonly #ledger: Ledger;
  readonly #hold: (transaction: Transaction) => Promise<void>;
  #token: WriteToken;

  /** @param hold locks what makes this attempt the present one, and throws when it is not any more. */
  constructor(ledger: Ledger, token: WriteToken, hold: (transaction: Transaction) => Promise<void>) {
    this.#ledger = ledger;
    this.#token = token;
    this.#hold = hold;
  }

  get token(): WriteToken {
    return this.#token;
  }

  /**
   * Takes a higher one: for a write that is tried again, since a command of the first try may still be on its way, and
   * above what was met in a store.
   *
   * @throws what `hold` throws: an attempt that was overtaken writes nothing more.
   */
  async renew(above = 0): Promise<void> {
    const fence = await this.#ledger.transaction(async (transaction) => {
      await this.#hold(transaction);
      return nextFence(transaction, above);
    });
    this.#token = { ...this.#token, fence: Math.max(fence, this.#token.fence) };
  }
}
