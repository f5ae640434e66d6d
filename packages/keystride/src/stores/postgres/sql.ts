import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type RawBuilder,
  sql,
  TableNode,
} from 'kysely';

/**
 * A builder of typed SQL for tables of one's own. It runs nothing itself: what it compiles is executed on the connection
 * that holds the transaction, or by a reader.
 *
 * @example
 * interface Tables { invoice: { id: Generated<string>; amount: string } }
 * const shop = typedSql<Tables>();
 * await transaction.run(shop.insertInto('invoice').values({ amount: '12' }));
 */
export function typedSql<Database>(): Kysely<Database> {
  return new Kysely<Database>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (database) => new PostgresIntrospector(database),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  });
}

/** SQL for tables that are named by parameters: all that is known of them is that every column can be text. */
export const namedTables = typedSql<Record<string, Record<string, string | null>>>();

/**
 * The parts of a table's name, `table` or `schema.table`. A part with a dot, or with the word `as` between blanks, stands
 * in double quotes, with each quote in it twice.
 */
export function tableParts(table: string): readonly string[] {
  const parts =
    /^(?:("(?:[^"]|"")+"|[^."]+)\.)?("(?:[^"]|"")+"|[^."]+)$/u.exec(table)?.slice(1) ?? table.split('.');
  return parts.flatMap((part: string | undefined) =>
    part === undefined ? [] : [part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part],
  );
}

/** A column of a table, whatever is in their names: a reference that is given as one text is split at its dots. */
export function columnIn(table: string, name: string): RawBuilder<unknown> {
  return sql.id(...tableParts(table), name);
}

/** A table to select from or to delete from, whatever is in its name. */
export function tableNamed(table: string): string {
  const parts = tableParts(table);
  const [schema = '', name = ''] = parts;
  const node = parts.length > 1 ? TableNode.createWithSchema(schema, name) : TableNode.create(schema);
  // The builder takes a node for a table as well as its name; its types know names alone.
  return { toOperationNode: () => node } as unknown as string;
}
