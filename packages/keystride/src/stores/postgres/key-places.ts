import pg from 'pg';
import {
  AliasNode,
  ColumnNode,
  IdentifierNode,
  type OperationNode,
  ReferenceNode,
  type SelectQueryNode,
  sql,
} from 'kysely';
import type { KeyColumn } from './key-columns.ts';
import type { KeyedRows } from './keyed-rows.ts';

/** The text of a key's column, as a query of ours selects it. */
export const textOfKey = (column: KeyColumn) => sql<string>`${column.reference}::text`;

/** Types whose values are read as the very text that a cast to text gives, by example. */
const asText: Readonly<Record<string, { readonly oid: number; readonly example: string }>> = {
  bigint: { oid: pg.types.builtins.INT8, example: '9007199254740993' },
  text: { oid: pg.types.builtins.TEXT, example: '01' },
  uuid: { oid: pg.types.builtins.UUID, example: '00000000-0000-0000-0000-000000000001' },
};

type Rows<Database, Table extends keyof Database & string, Row> = Pick<
  KeyedRows<Database, Table, Row>,
  'pool' | 'query' | 'table'
>;

/** Whether the rows hold a key's column under its own name, as text that the pool's parsers leave as it is. */
export function isReadAsText<Database, Table extends keyof Database & string, Row>(
  { pool, query, table }: Rows<Database, Table, Row>,
  { name, typeName }: KeyColumn,
): boolean {
  const type = asText[typeName];
  if (!type) return false;
  const only = onlyNamed(selectionsOf(query), name);
  if (!only || !ReferenceNode.is(only)) return false;
  const from = only.table?.table;
  const fromTable = [from?.schema?.name, from?.identifier.name].filter((part) => part !== undefined);
  if (from && fromTable.join('.') !== table) return false;
  const parse = (pool.options.types ?? pg.types).getTypeParser(type.oid, 'text');
  return parse(type.example) === type.example;
}

/** The name under which a query selects the text of a key's column itself, if it does. */
export function selectedAs<Database, Table extends keyof Database & string, Row>(
  { query }: Rows<Database, Table, Row>,
  column: KeyColumn,
): string | undefined {
  const selections = selectionsOf(query);
  const text = JSON.stringify(textOfKey(column).toOperationNode());
  const found = selections.find(
    (selection) => AliasNode.is(selection) && JSON.stringify(selection.node) === text,
  );
  const name = found && nameOf(found);
  return name !== undefined && onlyNamed(selections, name) === found ? name : undefined;
}

function selectionsOf(query: { toOperationNode(): OperationNode }): OperationNode[] {
  const { selections = [] } = query.toOperationNode() as SelectQueryNode;
  return selections.map(({ selection }) => selection);
}

/** Of two columns of one name a row holds the last: every name must be known, and this one be there once. */
function onlyNamed(selections: readonly OperationNode[], name: string): OperationNode | undefined {
  const named = selections.filter((selection) => [name, undefined].includes(nameOf(selection)));
  return named.length === 1 ? named[0] : undefined;
}

/** The name of what is selected; undefined where that is not known, as of `*`. */
function nameOf(selection: OperationNode): string | undefined {
  if (AliasNode.is(selection)) return IdentifierNode.is(selection.alias) ? selection.alias.name : undefined;
  if (ReferenceNode.is(selection) && ColumnNode.is(selection.column)) return selection.column.column.name;
  return undefined;
}
