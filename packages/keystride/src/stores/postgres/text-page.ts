import pg from 'pg';
import { small } from '../../contract/bytes.ts';
import { boundedQuery } from './bounded-query.ts';
import { rowsOfTexts, type TextRow } from './rows-of-texts.ts';
import { TextArray } from './text-array.ts';
import { unreadable } from './value-size.ts';

/**
 * Reading a page of texts as one array a column, which the server writes and the statement that takes it reads again:
 * nothing is done for a value in between. That is for rows that are handed on, and that are small: an answer of one row cannot
 * be ended where it becomes large.
 */

/** Types whose texts are the values that the driver gives, by example. */
const textTypes: Readonly<Record<number, string>> = {
  [pg.types.builtins.TEXT]: '01',
  [pg.types.builtins.VARCHAR]: '01',
  [pg.types.builtins.INT8]: '9007199254740993',
  [pg.types.builtins.UUID]: '00000000-0000-0000-0000-000000000001',
};

/** The server has no more columns than some three times as many in an answer. */
const mostColumns = 500;

/** What a value takes beside its text, in bytes, as rows are counted. */
const bytesPerValue = 16;

/** Rows may take so many times the share of a page that they have: else the server would hold them all before it refuses. */
const timesTheirShare = 8;

/** Pages that are read as rows after one that was too large. */
const pagesAsRows = 20;

interface SelectedPage {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A page of small rows. */
export interface TextPage {
  readonly rows: TextRow[];
  /** What they take together, as rows are counted, or a little more. */
  readonly bytes: number;
  /** The text of row `index` in a column. */
  at(name: string, index: number): string | null;
}

interface PageRequest {
  /** The limit of the query. */
  readonly rows: number;
  /** What they may take together. @default what is small */
  readonly bytes?: number | undefined;
  readonly signal: AbortSignal;
  /** The columns that hold the key's texts: the same at each page. */
  readonly places: readonly string[];
  /** Columns that have the same texts as another one, and that one. */
  readonly same: ReadonlyMap<string, string>;
}

/** The pages of a reader, as long as they are small. */
export class TextPages {
  readonly #pool: pg.Pool;
  #asRows = 0;
  #apart: readonly string[] | undefined;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /**
   * @param fields the columns of the query's result.
   * @returns undefined where its rows are not all texts, or where they are to be read as rows, for they may be large.
   */
  async read(
    query: SelectedPage,
    fields: readonly pg.FieldDef[],
    request: PageRequest,
  ): Promise<TextPage | undefined> {
    if (!areTexts(fields, this.#pool.options.types ?? pg.types)) return undefined;
    if (this.#asRows > 0) {
      this.#asRows--;
      return undefined;
    }
    const names = fields.map(({ name }) => name);
    const page = await this.#ask(query, names, request).catch((error: unknown) => {
      if (!unreadable(error)) throw error;
      return undefined;
    });
    if (!page) this.#asRows = pagesAsRows;
    return page;
  }

  async #ask(
    { text, values }: SelectedPage,
    names: readonly string[],
    { rows: limit, bytes = small, signal, places, same }: PageRequest,
  ): Promise<TextPage | undefined> {
    const sources = names.map((name) => names.indexOf(same.get(name) ?? name));
    const most = Math.min(bytes, small);
    const bounds = [Math.ceil((timesTheirShare * small) / limit), most];
    const { rows } = await boundedQuery<ArraysRow>(
      this.#pool,
      arraysQuery(text, sources, values.length),
      [...values, ...bounds],
      { signal },
    );
    const [answer] = rows;
    if (!answer) return undefined;
    const arrays = new Map(
      names.map((name, index) => {
        const array = answer[`array_${sources[index] ?? index}`] ?? '{}';
        return [name, new TextArray(array, answer.rows)];
      }),
    );
    this.#apart ??= places.map((place) => same.get(place) ?? place);
    return {
      rows: rowsOfTexts({ arrays, apart: this.#apart }, answer.rows),
      bytes: Number(answer.bytes),
      at: (name, index) => arrays.get(name)?.at(index) ?? null,
    };
  }
}

function areTexts(fields: readonly pg.FieldDef[], types: pg.CustomTypesConfig): boolean {
  return (
    fields.length <= mostColumns &&
    fields.every(({ dataTypeID }) => {
      const example = textTypes[dataTypeID];
      return example !== undefined && types.getTypeParser(dataTypeID, 'text')(example) === example;
    })
  );
}

type ArraysRow = Readonly<Record<`array_${number}`, string | null>> & {
  readonly rows: number;
  readonly bytes: string;
};

/**
 * A query for the rows of another one, which are sorted, as one row of arrays; for no row where one of them is larger than
 * one parameter says, or all of them than the other. How long a text is the server knows without reading it.
 *
 * @param sources for each column the one that its texts are in.
 * @param before parameters of the other query.
 */
function arraysQuery(text: string, sources: readonly number[], before: number): string {
  const names = sources.map((_, index) => `column_${index}`);
  const sizes = sources.map(
    (source) => `coalesce(octet_length(column_${source}::text)::bigint + ${bytesPerValue}, 0)`,
  );
  const each = [...new Set(sources)];
  const arrays = each.map(
    (index) =>
      `(array_agg(column_${index}::text) FILTER (WHERE size <= $${before + 1}))::text AS array_${index}`,
  );
  return `SELECT count(*)::int AS rows, coalesce(sum(size), 0)::text AS bytes, ${arrays.join(', ')}
    FROM (SELECT ${each.map((index) => `column_${index}`).join(', ')},
                 ${sizes.join(' + ')} AS size
            FROM (${text}) AS page (${names.join(', ')}) OFFSET 0) AS sized
    HAVING coalesce(max(size), 0) <= $${before + 1} AND coalesce(sum(size), 0) < $${before + 2}`;
}
