import { answeredOnce } from '../../contract/answered-once.ts';
import { type Cursor, cursorOf, type KeyRange } from '../../contract/cursor.ts';
import { ToldError } from '../../contract/errors.ts';
import type { ItemRead, Reader, ReadPlan } from '../../contract/reader.ts';

/** An item, and the table that it is of. */
export interface OfTable<Table, Item> {
  readonly table: Table;
  readonly item: Item;
}

interface TableReader<Table, Item> {
  readonly table: Table;
  /** What people call it. */
  readonly name: string;
  readonly reader: Reader<Item>;
}

/** Reads several tables one after another: a cursor is the number of a table, and a key of it. */
export function tablesReader<Table, Item>(
  tables: () => Promise<readonly TableReader<Table, Item>[]>,
): Reader<OfTable<Table, Item>> {
  const all = answeredOnce(tables);
  const find = async (cursor: Cursor | null) => {
    const number = cursor?.[0] ?? '';
    const found = (await all())[Number(number)];
    if (number === '' || !found) throw new ToldError(`there is no table ${number} among those that are read`);
    return { ...found, number };
  };
  return {
    plan: async (request) => {
      const plans: ReadPlan[] = [];
      for (const [number, { reader }] of (await all()).entries()) {
        const { ranges, ...plan } = await reader.plan(request);
        plans.push({ ...plan, ranges: ranges.map((range) => outward(String(number), range)) });
      }
      return joined(plans);
    },
    order: async () => {
      const orders: string[] = [];
      for (const { name, reader } of await all()) orders.push(`${name}: ${(await reader.order?.()) ?? ''}`);
      return orders.join('; ');
    },
    read: async ({ range, after, ...request }) => {
      const { table, name, number, reader } = await find(range.lower);
      const page = await reader.read({ ...request, range: inward(range), after: keyIn(after) });
      return {
        items: page.items.map((item) => ({ table, item })),
        cursorAt: (index) => withNumber(number, page.cursorAt(index)),
        keyAt: (index) => `${name} ${page.keyAt(index)}`,
        ...(page.errorAt && { errorAt: (index: number) => page.errorAt?.(index) }),
        ...(page.bytesAt && { bytesAt: (index: number) => page.bytesAt?.(index) ?? 0 }),
        ...(page.passed && { passed: withNumber(number, page.passed) }),
        ...(page.last && { last: page.last }),
      };
    },
    split: async ({ range, after, ...request }) => {
      const { number, reader } = await find(range.lower);
      const found = await reader.split?.({ ...request, range: inward(range), after: keyIn(after) });
      return found ? { ...found, at: withNumber(number, found.at) } : null;
    },
    readKeys: async ({ keys, signal }) =>
      Promise.all(
        keys.map(async (key): Promise<ItemRead<OfTable<Table, Item>> | undefined> => {
          const { table, reader } = await find(key);
          const [read] = (await reader.readKeys?.({ keys: [cursorOf(key.slice(1))], signal })) ?? [];
          return read && 'item' in read ? { item: { table, item: read.item } } : read;
        }),
      ),
  };
}

function joined(plans: readonly ReadPlan[]): ReadPlan {
  const counts = plans.map(({ expected }) => expected);
  return {
    ranges: plans.flatMap(({ ranges }) => ranges),
    expected: counts.includes(null) ? null : counts.reduce<number>((sum, count) => sum + (count ?? 0), 0),
    counted: plans.every(({ counted }) => counted === true),
    apart: true,
  };
}

function withNumber(number: string, key: readonly string[]): Cursor {
  return cursorOf([number, ...key]);
}

/** An open end is the number alone. */
function outward(number: string, { lower, upper }: KeyRange): KeyRange {
  return { lower: withNumber(number, lower ?? []), upper: withNumber(number, upper ?? []) };
}

function inward({ lower, upper }: KeyRange): KeyRange {
  return { lower: keyIn(lower), upper: keyIn(upper) };
}

function keyIn(cursor: Cursor | null): Cursor | null {
  return cursor && cursor.length > 1 ? cursorOf(cursor.slice(1)) : null;
}
