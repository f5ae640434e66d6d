import type { ParametersOf } from '../contract/job.ts';
import type { tableSync } from './contract.ts';
import { invalid } from './tables.ts';

type Parameters = ParametersOf<typeof tableSync>;

/** What is said of columns, each by a list. */
const lists = ['key', 'columns', 'drop', 'rename', 'cast', 'mask'] as const;

/** What one table is copied by. */
export type OfTable = Parameters & { readonly source: string };

/**
 * The parameters of each of several tables: those elements of the lists that name it, without its name.
 *
 * @param tables as the list of them has them, or what it stands for.
 * @throws JobParametersInvalid for an element that names none of the tables.
 */
export function eachTable(parameters: Parameters, tables: readonly string[]): OfTable[] {
  const given = lists.map((list) => Map.groupBy(parameters[list], (one) => tableOf(list, one, tables)));
  return tables.map((source) => {
    const own = lists.map((list, place) => {
      const named = given[place]?.get(source) ?? [];
      return [list, named.map((one) => one.slice(source.length + 1))];
    });
    return {
      ...parameters,
      ...(Object.fromEntries(own) as Pick<Parameters, (typeof lists)[number]>),
      source,
    };
  });
}

/** A column as the parameters of a run name it: among several tables with its table before it. */
export function inParameters({ source, tables }: Pick<OfTable, 'source' | 'tables'>, column: string): string {
  return tables === undefined ? column : `${source}.${column}`;
}

/** The longest name that it begins with: `a.b.c` is of `a.b` where there is an `a` too. */
function tableOf(list: string, element: string, tables: readonly string[]): string {
  const found = tables.filter(
    (table) => element.startsWith(`${table}.`) && element.length > table.length + 1,
  );
  const longest = found.toSorted((one, other) => other.length - one.length)[0];
  if (longest !== undefined) return longest;
  throw invalid(
    `${list}=${element} names none of the tables: among several, a column is written with its table before it, as ` +
      `${tables[0] ?? 'table'}.column. The tables are: ${tables.join(', ')}`,
  );
}
