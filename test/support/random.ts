/** Chance that can be had again: the same seed gives the same numbers. */
export interface Random {
  readonly seed: number;
  /** A number from `least` up to `most`. */
  between(least: number, most: number): number;
}

/**
 * Numbers by a seed, which is printed: `KEYSTRIDE_SEED` runs a failed test again as it was.
 *
 * @param what the test, for the line that is printed.
 */
export function seededRandom(what: string): Random {
  const given = Number(process.env['KEYSTRIDE_SEED']);
  const seed = Number.isSafeInteger(given) && given > 0 ? given : Math.ceil(Math.random() * 1e9);
  console.log(`${what}: seed ${seed}, again with KEYSTRIDE_SEED=${seed}`);
  let state = seed;
  return {
    seed,
    between: (least, most) => {
      // mulberry32 by Tommy Ettinger, in the public domain.
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return least + (((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * (most - least);
    },
  };
}
