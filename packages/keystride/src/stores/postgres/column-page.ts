import pg from 'pg';

/**
 * Reading a page as one text a column instead of one message a row: the driver's work on a message, and the garbage that
 * it leaves, is most of what a small row costs. Measured with two columns of numbers it halves the processor time of a
 * whole job; with columns of longer texts it saves nothing, so those are read row by row.
 */

const { INT2, INT4, INT8, BOOL, DATE } = pg.types.builtins;

/** Types of short values whose texts are neither empty nor have a comma in them. */
const shortTypes: readonly number[] = [INT2, INT4, INT8, BOOL, DATE];

/** Of so many columns a page is small, however many rows it has; nobody counts its bytes. */
const mostColumns = 64;

/** A column of a query's result. */
export interface ResultColumn {
  readonly name: string;
  readonly type: number;
}

/** The columns of a query's result if they may be read so; undefined if not. */
export function readableAsColumns(fields: readonly pg.FieldDef[]): readonly ResultColumn[] | undefined {
  const names = new Set(fields.map(({ name }) => name));
  const readable =
    fields.length <= mostColumns && fields.every(({ dataTypeID }) => shortTypes.includes(dataTypeID));
  if (!readable || names.size < fields.length) return undefined;
  return fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID }));
}

/** A query for the rows of another one, which are sorted, as one row: their number, and a text for each column. */
export function columnsQuery(text: string, columns: readonly ResultColumn[]): string {
  const names = columns.map((_, index) => `column_${index}`);
  const texts = columns.map(({ type }, index) =>
    type === BOOL
      ? `string_agg(CASE column_${index} WHEN true THEN 't' WHEN false THEN 'f' ELSE '-' END, '') AS column_${index}`
      : `string_agg(coalesce(column_${index}::text, ''), ',') AS column_${index}`,
  );
  return `SELECT count(*)::int AS rows, ${texts.join(', ')} FROM (${text}) AS page (${names.join(', ')})`;
}

/** The answer to a `columnsQuery`. */
export type ColumnsRow = Readonly<Record<`column_${number}`, string | null>> & { readonly rows: number };

/** The rows, each value as the driver would have read it. */
export function rowsOf(
  row: ColumnsRow,
  columns: readonly ResultColumn[],
  { getTypeParser }: pg.CustomTypesConfig,
): pg.QueryResultRow[] {
  const values = columns.map(({ type }, index) => {
    const parse = getTypeParser(type, 'text') as (text: string) => unknown;
    const text = row[`column_${index}`] ?? '';
    return type === BOOL ? booleansOf(text, parse) : valuesOf(text, parse);
  });
  const names = columns.map(({ name }) => name);
  const empty: pg.QueryResultRow = Object.fromEntries(names.map((name) => [name, null]));
  const rows: pg.QueryResultRow[] = [];
  // Once for every row of the table: no iterator and no closure in here.
  for (let at = 0; at < row.rows; at++) {
    const item = { ...empty };
    for (let index = 0; index < names.length; index++) item[names[index] ?? ''] = values[index]?.[at];
    rows.push(item);
  }
  return rows;
}

/** A letter each, so that no text is made of any of them. */
function booleansOf(letters: string, parse: (text: string) => unknown): unknown[] {
  const yes = parse('t');
  const no = parse('f');
  const values: unknown[] = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at];
    values.push(letter === 't' ? yes : letter === 'f' ? no : null);
  }
  return values;
}

function valuesOf(text: string, parse: (text: string) => unknown): unknown[] {
  const texts = text.split(',');
  const [first = ''] = texts;
  // As the bigints of our pools: what is read is the text.
  if (parse(first) === first && !texts.includes('')) return texts;
  return texts.map((value) => (value === '' ? null : parse(value)));
}
