/** How much of a kind of work a worker does at a time; what finds no room is done otherwise. */
export class Room {
  readonly #most: number;
  #now = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get isLeft(): boolean {
    return this.#now < this.#most;
  }

  async whileTaken<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#now++;
    try {
      return await work();
    } finally {
      this.#now--;
    }
  }
}
