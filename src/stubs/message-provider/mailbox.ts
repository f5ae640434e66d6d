/** What became of one idempotency key. */
export interface KeyedMessage {
  readonly key: string;
  readonly memberId: string;
  /** Calls that named the key. */
  received: number;
  /** 1 once the message is delivered. It is never more: that is what the key is for. */
  delivered: number;
}

/** What `GET /stats` answers. */
export interface StatisticsReport {
  /** Calls with a message, whatever became of them. */
  received: number;
  /** Messages delivered. */
  delivered: number;
  /** Different keys received. */
  keys: number;
  /** Keys received more than once. */
  repeatedKeys: number;
  /** Members to whom more than one message was delivered. */
  membersToldTwice: number;
  /** Answers by status; `dropped` counts connections that ended without one. */
  answers: Record<string, number>;
}

/** Messages by their keys, and what was counted. */
export class Mailbox {
  readonly #messages = new Map<string, KeyedMessage>();
  #answers: Record<string, number> = {};

  /** @returns the message of the key, this call counted */
  receive(key: string, memberId: string): KeyedMessage {
    const message = this.#messages.get(key) ?? { key, memberId, received: 0, delivered: 0 };
    this.#messages.set(key, message);
    message.received += 1;
    return message;
  }

  answered(outcome: number | 'dropped'): void {
    this.#answers[outcome] = (this.#answers[outcome] ?? 0) + 1;
  }

  reset(): void {
    this.#messages.clear();
    this.#answers = {};
  }

  /** In the order in which their keys first came in. */
  list(): KeyedMessage[] {
    return [...this.#messages.values()];
  }

  report(): StatisticsReport {
    const messages = this.list();
    const sum = (of: (message: KeyedMessage) => number) =>
      messages.reduce((before, message) => before + of(message), 0);
    const told = Map.groupBy(
      messages.filter(({ delivered }) => delivered > 0),
      ({ memberId }) => memberId,
    );
    return {
      received: sum(({ received }) => received),
      delivered: sum(({ delivered }) => delivered),
      keys: messages.length,
      repeatedKeys: messages.filter(({ received }) => received > 1).length,
      membersToldTwice: [...told.values()].filter(({ length }) => length > 1).length,
      answers: { ...this.#answers },
    };
  }
}
