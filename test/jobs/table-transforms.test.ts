import { expect, test } from 'vitest';
import { tableSync } from '../../packages/keystride/src/table-sync/contract.ts';
import { eachTable, inParameters } from '../../packages/keystride/src/table-sync/table-transforms.ts';

test('an element of a list is of the table whose name it begins with, the longest name where there are two', () => {
  const tables = ['shop', 'shop.orders'];
  const drop = ['shop.note', 'shop.orders.note', 'shop.orders.shop.note'];
  const parameters = tableSync.parameters.parse({ tables, mode: 'log', drop });
  const each = eachTable(parameters, tables);
  expect(each.map((one) => [one.source, one.drop])).toEqual([
    ['shop', ['note']],
    ['shop.orders', ['note', 'shop.note']],
  ]);
  // As they were given.
  expect(each.flatMap((one) => one.drop.map((column) => inParameters(one, column)))).toEqual(drop);
});
