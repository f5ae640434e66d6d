import {
  AggregateFunctionNode,
  AliasNode,
  AndNode,
  BinaryOperationNode,
  CastNode,
  ColumnNode,
  IdentifierNode,
  type OperationNode,
  OperatorNode,
  ParensNode,
  RawNode,
  ReferenceNode,
  SelectAllNode,
  SelectQueryNode,
  TableNode,
  ValueNode,
} from 'kysely';
import { ToldError } from '../../contract/errors.ts';

/** A query that cannot be read page by page. */
export class UnusableQuery extends ToldError {
  override readonly name = 'UnusableQuery';
}

interface Compiled {
  toOperationNode(): OperationNode;
}

/** What makes a query more, less or something else than the rows of its tables that match. */
const unpageable: readonly (readonly [keyof SelectQueryNode, string])[] = [
  ['orderBy', 'an order of its own (orderBy)'],
  ['limit', 'a limit of its own'],
  ['offset', 'an offset of its own'],
  ['fetch', 'a limit of its own (fetch)'],
  ['top', 'a limit of its own (top)'],
  ['endModifiers', 'a lock, or another modifier at its end'],
  ['distinctOn', 'DISTINCT ON'],
  ['frontModifiers', 'DISTINCT, or another modifier'],
  ['setOperations', 'a set operation (union, intersect, except)'],
  ['having', 'HAVING'],
  ['groupBy', 'GROUP BY'],
];

/**
 * Refuses a query that a reader cannot page: it orders and limits the query itself, and adds its conditions to the rows
 * before they are grouped, combined or counted.
 *
 * @param table whose key the pages follow.
 * @throws UnusableQuery
 */
export function refuseUnpageable(query: Compiled, table: string): void {
  const node = selectOf(query, table);
  for (const [part, what] of unpageable) if (node[part] !== undefined) throw refused(table, what);
  if ((node.selections ?? []).some(({ selection }) => isAggregate(selection)))
    throw refused(table, 'an aggregate or a window function among what it selects');
  for (const { name, expression } of node.with?.expressions ?? [])
    if (!SelectQueryNode.is(expression) && !RawNode.is(expression))
      throw refused(table, `a part that changes rows (WITH ${name.table.table.identifier.name})`);
  for (const join of node.joins ?? []) {
    const nullable =
      /Right|Full/u.test(join.joinType) ||
      (/Left|Outer/u.test(join.joinType) && nameOf(join.table) === table);
    if (nullable) throw refused(table, `an outer join in which the key of ${table} may be null`);
  }
}

function refused(table: string, what: string): UnusableQuery {
  return new UnusableQuery(
    `the query of the reader of ${table} has ${what}. A reader orders, limits and restricts the query itself, page by page: ` +
      'let it give the rows of the table, each once, and put the rest into a view, a subquery (EXISTS, a scalar one), the processor or a statement of the writer.',
  );
}

function selectOf(query: Compiled, table: string): SelectQueryNode {
  const node = query.toOperationNode();
  if (SelectQueryNode.is(node)) return node;
  throw refused(table, `no SELECT of its own (${node.kind})`);
}

/** Whether it is, or holds, an aggregate or a window function: over a page it is another value than over the table. */
function isAggregate(node: OperationNode): boolean {
  if (AggregateFunctionNode.is(node)) return true;
  // What it computes, it computes over rows of its own.
  if (SelectQueryNode.is(node)) return false;
  if (RawNode.is(node) && /\)\s*over\s*[(\w"]/iu.test(withoutSubqueries(node.sqlFragments.join('$'))))
    return true;
  return partsOf(node).some(isAggregate);
}

function partsOf(node: OperationNode): OperationNode[] {
  const isNode = (part: unknown): part is OperationNode =>
    typeof part === 'object' && part !== null && 'kind' in part;
  return Object.values(node).flat().filter(isNode);
}

function withoutSubqueries(text: string): string {
  let outside = '';
  for (let from = 0; ;) {
    const begin = text.slice(from).search(/\(\s*select\b/iu);
    if (begin < 0) return outside + text.slice(from);
    outside += text.slice(from, from + begin);
    from = endOfParens(text, from + begin);
  }
}

/** Behind the parenthesis that closes the one here. */
function endOfParens(text: string, begin: number): number {
  let open = 0;
  for (let at = begin; at < text.length; at++) {
    if (text[at] === '(') open++;
    else if (text[at] === ')' && --open === 0) return at + 1;
  }
  return text.length;
}

/**
 * Whether a query may give a row of the key's table more than once: it reads more than one table, or selects what is not
 * a column as it is, of which nobody knows whether it is a function that returns several rows (`unnest`).
 */
export function mayMultiply(query: Compiled, table: string): boolean {
  const { from, joins = [], selections = [], with: ctes } = selectOf(query, table);
  const froms = from?.froms ?? [];
  return (
    joins.length > 0 ||
    // One that is called as the table stands in its place.
    ctes !== undefined ||
    froms.length !== 1 ||
    froms.some((item) => nameOf(item) !== table) ||
    selections.some(({ selection }) => !isSingle(unnamed(selection)))
  );
}

function unnamed(selection: OperationNode): OperationNode {
  return AliasNode.is(selection) ? selection.node : selection;
}

/** A column, a value or a subquery, cast perhaps: one for each row. */
function isSingle(node: OperationNode): boolean {
  if (RawNode.is(node)) return !node.sqlFragments.join('').includes('(') && node.parameters.every(isSingle);
  if (CastNode.is(node)) return isSingle(node.expression);
  return [ReferenceNode, ColumnNode, IdentifierNode, SelectAllNode, ValueNode, SelectQueryNode].some((kind) =>
    kind.is(node),
  );
}

/** The name of a table that a query selects from; undefined for anything else, or under another name. */
function nameOf(node: OperationNode): string | undefined {
  if (!TableNode.is(node)) return undefined;
  const { schema, identifier } = node.table;
  return [schema?.name, identifier.name].filter((part) => part !== undefined).join('.');
}

/** Columns of a table that a query fixes to one value each: `where('day', '=', day)`. */
export function fixedColumns(query: Compiled, table: string): readonly string[] {
  const { where } = selectOf(query, table);
  return where ? fixedIn(where.where, table) : [];
}

function fixedIn(node: OperationNode, table: string): string[] {
  if (ParensNode.is(node)) return fixedIn(node.node, table);
  if (AndNode.is(node)) return [...fixedIn(node.left, table), ...fixedIn(node.right, table)];
  if (!BinaryOperationNode.is(node)) return [];
  const { leftOperand, operator, rightOperand } = node;
  if (!OperatorNode.is(operator) || operator.operator !== '=' || !isValue(rightOperand)) return [];
  if (!ReferenceNode.is(leftOperand) || !ColumnNode.is(leftOperand.column)) return [];
  if (leftOperand.table && nameOf(leftOperand.table) !== table) return [];
  return IdentifierNode.is(leftOperand.column.column) ? [leftOperand.column.column.name] : [];
}

/** One value for all rows: a parameter, as it is or cast to a type. */
function isValue(node: OperationNode): boolean {
  if (ValueNode.is(node)) return true;
  if (!RawNode.is(node)) return false;
  const [before = '', after = '', ...more] = node.sqlFragments;
  const [only] = node.parameters;
  return before === '' && more.length === 0 && /^(::[\w ]+)?$/u.test(after) && !!only && ValueNode.is(only);
}
