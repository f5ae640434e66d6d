import type { TextArray } from './text-array.ts';

/** A row whose values are all texts. */
export type TextRow = Readonly<Record<string, string | null>>;

/** Where a row's values are, and its place there, under names that no column has. */
const textsOf = Symbol('texts');
const placeOf = Symbol('place');

/** What rows have in their columns. */
export interface Texts {
  readonly arrays: ReadonlyMap<string, TextArray>;
  /** The columns in which no two rows of a reader are alike: the same list for all its pages. */
  readonly apart: readonly string[];
}

interface Place {
  readonly [placeOf]: number;
}

/**
 * Rows of which each value is still in the array of its column. To whoever looks at one it is as any row, but that it cannot
 * be changed; to a statement of ours, `columnsOf` gives the arrays on as they are.
 */
export function rowsOfTexts(texts: Texts, count: number): TextRow[] {
  const looks = new Look(texts);
  return Array.from(
    { length: count },
    (_, place) => new Proxy<Place>({ [placeOf]: place }, looks),
  ) as object[] as TextRow[];
}

class Look implements ProxyHandler<Place> {
  readonly #texts: Texts;

  constructor(texts: Texts) {
    this.#texts = texts;
  }

  get(row: Place, name: string | symbol): unknown {
    if (name === textsOf) return this.#texts;
    const array = typeof name === 'string' ? this.#texts.arrays.get(name) : undefined;
    return array ? array.at(row[placeOf]) : (Reflect.get(row, name) as unknown);
  }

  has(row: Place, name: string | symbol): boolean {
    return (typeof name === 'string' && this.#texts.arrays.has(name)) || Reflect.has(row, name);
  }

  ownKeys(): string[] {
    return [...this.#texts.arrays.keys()];
  }

  getOwnPropertyDescriptor(row: Place, name: string | symbol): PropertyDescriptor | undefined {
    const array = typeof name === 'string' ? this.#texts.arrays.get(name) : undefined;
    return array && { value: array.at(row[placeOf]), enumerable: true, configurable: true, writable: false };
  }

  set(): boolean {
    return false;
  }

  defineProperty(): boolean {
    return false;
  }

  deleteProperty(): boolean {
    return false;
  }
}

interface Run {
  readonly texts: Texts;
  readonly from: number;
  /** Exclusive. */
  to: number;
}

/** The rows as stretches of the arrays that they are in; undefined where one of them is a row of its own. */
function runsOf(rows: readonly TextRow[]): readonly Run[] | undefined {
  const runs: Run[] = [];
  let last: Run | undefined;
  for (const row of rows as readonly (TextRow & Partial<Place> & { readonly [textsOf]?: Texts })[]) {
    const texts = row[textsOf];
    const place = row[placeOf];
    if (texts === undefined || place === undefined) return undefined;
    if (last?.texts === texts && last.to === place) last.to++;
    else runs.push((last = { texts, from: place, to: place + 1 }));
  }
  return runs;
}

/**
 * What rows have in these columns, an array each, as a parameter of type `text[]`. A column that a row lacks is null there.
 */
export function columnsOf(
  rows: readonly TextRow[],
  names: readonly string[],
): (string | (string | null)[])[] {
  const runs = runsOf(rows);
  const isThere = (name: string) => runs?.every(({ texts }) => texts.arrays.has(name)) === true;
  return names.map((name) =>
    runs && isThere(name) ? `{${written(runs, name).join(',')}}` : rows.map((row) => row[name] ?? null),
  );
}

function written(runs: readonly Run[], name: string): string[] {
  return runs.map(({ texts, from, to }) => texts.arrays.get(name)?.between(from, to) ?? '');
}

/** The last of the rows that have the same values in these columns, where several have. */
export function lastOfEach(rows: readonly TextRow[], names: readonly string[]): readonly TextRow[] {
  const runs = runsOf(rows);
  if (runs && areApart(runs, names)) return rows;
  const keys = runs ? writtenKeys(runs, names) : keysOf(rows, names);
  if (new Set(keys).size === rows.length) return rows;
  return [...new Map(rows.map((row, index) => [keys[index], row])).values()];
}

function keysOf(rows: readonly TextRow[], names: readonly string[]): unknown[] {
  const [only = '', ...others] = names;
  if (others.length === 0) return rows.map((row) => row[only]);
  return rows.map((row) => JSON.stringify(names.map((name) => row[name])));
}

/** Whether one reader has read them, which tells rows apart by these columns itself. */
function areApart(runs: readonly Run[], names: readonly string[]): boolean {
  const apart = runs[0]?.texts.apart;
  return (
    runs.every(({ texts }) => texts.apart === apart) && apart?.every((name) => names.includes(name)) === true
  );
}

/** A value is written in one way. */
function writtenKeys(runs: readonly Run[], names: readonly string[]): string[] {
  const keys: string[] = [];
  for (const { texts, from, to } of runs) {
    const columns = names.map((name) => texts.arrays.get(name));
    for (let place = from; place < to; place++)
      keys.push(columns.map((column) => column?.between(place, place + 1) ?? 'NULL').join(','));
  }
  return keys;
}
