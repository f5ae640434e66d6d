import { expect } from 'vitest';
import type { Stores } from './migration.ts';
import { emptyShop, onBothSides } from './shop.ts';

/** Makes the table `shop.item` anew on both sides, for rows of any size. */
export async function emptyItems(stores: Stores): Promise<void> {
  await emptyShop(stores);
  await onBothSides(stores, 'CREATE TABLE shop.item (id int PRIMARY KEY, body text)');
  // Packing such rows would take most of the test's time.
  await onBothSides(stores, 'ALTER TABLE shop.item ALTER COLUMN body SET STORAGE EXTERNAL');
}

/** Text of so many megabytes for a row n. */
export const megabytes = (count: number) => `repeat(md5(n::text), ${32_768 * count})`;

/** Expects the same rows of `shop.item` on both sides. */
export async function sameOnBothSides({ service, migration }: Stores): Promise<void> {
  const [source, sink] = await Promise.all(
    [service, migration].map(async (pool) => {
      const { rows } = await pool.query(
        `SELECT count(*)::int AS rows, md5(string_agg(id || ' ' || md5(body), ',' ORDER BY id)) AS hash FROM shop.item`,
      );
      return rows;
    }),
  );
  expect(sink).toEqual(source);
}
