import { addDecisions, type Decision } from '../contract/progress.ts';

/** What a page decides by itself, on its way into history. However long the page is, it stays short. */
export class Decisions {
  readonly #partition: number;
  #list: readonly Decision[] = [];

  constructor(partition: number) {
    this.#partition = partition;
  }

  /** The last ones, the oldest first. */
  get list(): readonly Decision[] {
    return this.#list;
  }

  /**
   * Notes a decision. A further step in the same direction continues the one before it.
   *
   * @param reason figures and causes, never what a row holds.
   */
  add(what: Decision['what'], from: number | null, to: number | null, reason: string): void {
    const decision = { at: new Date().toISOString(), partition: this.#partition, what, from, to, reason };
    const before = this.#list.findLast((one) => one.what === what);
    if (before && continues(before, decision))
      this.#list = this.#list.map((one) => (one === before ? { ...decision, from: before.from } : one));
    else this.#list = addDecisions(this.#list, [decision]);
  }
}

function continues(before: Decision, next: Decision): boolean {
  if (before.from === null || before.to === null || next.to === null || before.to !== next.from) return false;
  // Fewer calls are no step of many: each time has its own cause.
  if (next.what === 'concurrency' && next.to < before.to) return false;
  return Math.sign(before.to - before.from) === Math.sign(next.to - next.from);
}
