import type { Applying } from './applying.ts';
import { constraintsNotMet, isBetweenRows } from './violations.ts';
import type { SinkWriter } from './writing.ts';

const constraints = 'SET CONSTRAINTS ALL';

/** Does what the sink may refuse in savepoints. */
export class Tries {
  readonly #writer: SinkWriter;
  readonly #applying: Applying;
  /** In a circle, one row alone need not hold. */
  readonly #isPart: boolean;
  #begun = false;

  constructor(writer: SinkWriter, applying: Applying) {
    this.#writer = writer;
    this.#applying = applying;
    this.#isPart = applying.unsettled && applying.tables.some(({ inCircle }) => inCircle);
  }

  /**
   * Does something, or nothing of it where the sink refuses one of the rows.
   *
   * @param isRefusal what else is no reason to end the run.
   * @returns why it is refused
   */
  async refusal(
    body: () => Promise<unknown>,
    isRefusal: (error: unknown) => boolean = () => false,
  ): Promise<unknown> {
    await this.#begin();
    const { transaction, noted } = this.#writer;
    await transaction.query(`SAVEPOINT changes${this.#isPart ? `; ${constraints} DEFERRED` : ''}`);
    try {
      await body();
      await transaction.query(`${this.#isPart ? `${constraints} IMMEDIATE; ` : ''}RELEASE SAVEPOINT changes`);
      return undefined;
    } catch (error) {
      if (!isBetweenRows(error) && this.#applying.aside?.takes(error) !== true && !isRefusal(error))
        throw error;
      this.#writer.noted = noted;
      await transaction.query('ROLLBACK TO SAVEPOINT changes; RELEASE SAVEPOINT changes');
      return error;
    }
  }

  /** Has all constraints tell that could wait. @throws ConstraintsNotMet where one was waiting for what does not come */
  async finish(): Promise<void> {
    if (!this.#begun || this.#applying.unsettled) return;
    try {
      await this.#writer.transaction.query(`${constraints} IMMEDIATE`);
    } catch (error) {
      throw isBetweenRows(error) ? constraintsNotMet(error) : error;
    }
  }

  /** Constraints that may wait do: until the end, where all is as it was in the source; or each is to tell. */
  async #begin(): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    await this.#writer.transaction.query(
      `${constraints} ${this.#applying.unsettled ? 'IMMEDIATE' : 'DEFERRED'}`,
    );
  }
}
