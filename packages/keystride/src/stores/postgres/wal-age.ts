/** Positions that are remembered at most; then every second one is forgotten, the older ones time and again. */
const mostRemembered = 1_000;

/**
 * How old what lies behind a position of a server's write-ahead log is, by positions that were seen before: PostgreSQL
 * keeps no times for them. An age is never too great, and too small by what lies between two looks: the older, the more.
 * What is older than the first look is as old as that.
 */
export class WalAge {
  #seen: { readonly position: bigint; readonly atMs: number }[] = [];

  /**
   * Notes where the log ends.
   *
   * @param atMs on whichever clock, the same each time.
   */
  note(position: bigint, atMs: number): void {
    const last = this.#seen.at(-1)?.position;
    // It was there before: nothing has been written since.
    if (position === last) return;
    // Another server has taken over, with a log of its own.
    if (last !== undefined && position < last) this.#seen = [];
    this.#seen.push({ position, atMs });
    if (this.#seen.length > mostRemembered) this.#seen = this.#seen.filter((_, index) => index % 2 === 0);
  }

  /** The age of the oldest that comes after a position, in seconds; 0 when nothing does. */
  secondsAfter(position: bigint, nowMs: number): number {
    const first = this.#seen.find((seen) => seen.position > position);
    return first ? (nowMs - first.atMs) / 1000 : 0;
  }
}
