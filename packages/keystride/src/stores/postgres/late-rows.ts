import type { Cursor, KeyRange } from '../../contract/cursor.ts';
import { emptyPage, type ReadPlan, type Reader, type ReadRequest } from '../../contract/reader.ts';
import { arrivedSince, type Since } from './horizon.ts';
import type { KeyColumn } from './key-columns.ts';
import { KeyWindows, type Window } from './key-windows.ts';
import type { KeyedRows } from './keyed-rows.ts';
import { describedOnce, keysetReader } from './keyset-reader.ts';

/** How long a plan looks, and how long a read does that finds nothing, in milliseconds. */
const lookMs = 2_000;

/**
 * Reads the rows up to a cursor, inclusive, that have arrived since a horizon: those whose transaction committed after
 * the cursor had passed their key, however long ago it took the key; those that were changed; those that came with a
 * partition.
 *
 * It looks at every row below the cursor once, inside the database, in windows of the key, and reads those alone that
 * it looks for. However long that takes: a read ends after two seconds and says how far it has looked, and no query
 * outlasts its window's time in the database. A plan that comes to the end in its own two seconds knows where the late
 * rows are: usually nowhere.
 */
export function lateRows<Database, Table extends keyof Database & string, Row>(
  rows: KeyedRows<Database, Table, Row>,
  upTo: Cursor,
  since: Since,
): Reader<Row> {
  const arrived = arrivedSince(rows.table, since);
  const late = keysetReader({ ...rows, query: rows.query.where(arrived), again: rows.query });
  const keyColumns = describedOnce(rows);
  // What the step's own query leaves out must not make a window long.
  const looked = { ...rows, query: rows.query.clearWhere() };
  const windowsOf = (columns: readonly KeyColumn[]) => new KeyWindows(looked, columns, arrived);
  let windows: KeyWindows<Database, Table, Row> | undefined;
  /** A window of which more is to be read behind this key. */
  let rest: { readonly after: string; readonly window: Window } | undefined;

  const nextWindow = async (from: Cursor | null, { range, signal }: ReadRequest): Promise<Window> => {
    windows ??= windowsOf(await keyColumns());
    return windows.find({ lower: from, upper: range.upper ?? upTo }, lookMs, signal);
  };
  return {
    plan: async ({ signal }) => planLate(windowsOf(await keyColumns()), upTo, signal),
    ...(late.order ? { order: late.order.bind(late) } : {}),
    ...(late.problems ? { problems: late.problems.bind(late) } : {}),
    ...(late.position ? { position: late.position.bind(late) } : {}),
    ...(late.readKeys ? { readKeys: late.readKeys.bind(late) } : {}),
    read: async (request) => {
      const from = request.after ?? request.range.lower;
      const window =
        rest !== undefined && rest.after === JSON.stringify(from)
          ? { ...rest.window, start: from }
          : await nextWindow(from, request);
      const range: KeyRange = { lower: window.start, upper: window.end };
      const page = window.arrived > 0 ? await late.read({ ...request, range, after: null }) : emptyPage();
      // A page of large rows ends before it has as many as were asked for, and says how far it has come.
      const full = page.items.length === request.limit || page.passed !== undefined;
      rest = full ? { after: JSON.stringify(page.cursorAt(page.items.length - 1)), window } : undefined;
      // The end of a window is not that of the range.
      return { ...page, ...(full ? {} : { passed: window.end }), last: false };
    },
  };
}

async function planLate<Database, Table extends keyof Database & string, Row>(
  windows: KeyWindows<Database, Table, Row>,
  upTo: Cursor,
  signal: AbortSignal,
): Promise<ReadPlan> {
  const until = performance.now() + lookMs;
  let from: Cursor | null = null;
  let range: KeyRange | undefined;
  let expected = 0;
  for (;;) {
    const window = await windows.next({ lower: from, upper: upTo }, signal);
    if (window.arrived > 0) range = { lower: range ? range.lower : from, upper: window.end };
    expected += window.arrived;
    if (window.last) return { ranges: range ? [range] : [], expected, apart: true };
    if (performance.now() > until)
      return {
        ranges: [{ lower: range ? range.lower : window.end, upper: upTo }],
        expected: null,
        apart: true,
      };
    from = window.end;
  }
}
