import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { kebabOf, ScaffoldError, templateText, type WrittenFile, writeFiles } from './files.ts';
import { flatOrBroken, withElement, withImport } from './lists.ts';
import { sampleOf, type Table, type TableColumn, typeScriptOf } from './table.ts';

/** Where a job is written. */
export interface JobPlace {
  /** The directory of `keystride.config.ts`. */
  readonly root: string;
  /** The folder of the project's migrations, absolute; undefined where another tool makes its tables. */
  readonly migrations: string | undefined;
}

const indexes = {
  contract: 'src/contract/index.ts',
  workflows: 'src/workflows/index.ts',
  activities: 'src/activities/index.ts',
  sampleRows: 'src/sample-rows/index.ts',
};

/** @throws ScaffoldError for what cannot be the name of a job, or is one already */
export function checkJobName(root: string, name: string): void {
  if (!/^[a-z][a-zA-Z0-9]*$/.test(name))
    throw new ScaffoldError(`${name} is no name for a job`, 'Give it in camelCase: invoiceReminder.');
  const engine = ['alert', 'partition', 'prune', 'redrive', 'scheduledJob', 'verification'];
  if (engine.includes(name) || indexText(root, indexes.workflows).includes(`{ ${name} }`))
    throw new ScaffoldError(`there is a workflow ${name} already`, 'Choose another name.');
}

/**
 * Writes a job into a project: contract, flow, work and test, and enters it into the three indexes. With a table also
 * the migration of what it writes, and rows to try it on.
 *
 * @returns the files that were written or changed, relative to the project
 * @throws ScaffoldError where one of the files is there already, or an index has no place for the job; nothing is written
 *   then
 */
export function writeJob(place: JobPlace, name: string, table?: Table): string[] {
  checkJobName(place.root, name);
  const files = [
    ...(table ? tableJob(place, name, table) : numbersJob(place, name)),
    ...entries(place, name, table !== undefined),
  ];
  writeFiles(place.root, files, 'Choose another name.');
  return files.map(({ file }) => file);
}

function numbersJob({ root }: JobPlace, name: string): WrittenFile[] {
  const renamed = renaming('evenNumbers', name);
  return ['contract', 'workflows', 'activities', 'test'].map((part) => {
    const text = renamed(templateText(path.join('job', fileIn(part, 'even-numbers'))));
    return part === 'test' ? testFile(root, name, text) : { file: fileIn(part, kebabOf(name)), text };
  });
}

function tableJob(place: JobPlace, name: string, table: Table): WrittenFile[] {
  const { root, migrations } = place;
  if (migrations === undefined)
    throw new ScaffoldError(
      'keystride.config.ts names no migrations for DATABASE_URL, where the table that the job writes to could be made',
      `Name a folder: migrations: [{ name: '${path.basename(root)}', folder: './migrations' }]`,
    );
  const renamed = renaming('tableCopy', name);
  const text = (file: string, own: (text: string) => string = (same) => same) =>
    withTable(renamed(own(templateText(path.join('job', file)))), name, table);
  const kebab = kebabOf(name);
  return [
    { file: fileIn('contract', kebab), text: text(fileIn('contract', 'table-copy')) },
    { file: fileIn('workflows', kebab), text: text(fileIn('workflows', 'table-copy')) },
    {
      file: fileIn('activities', kebab),
      text: text(fileIn('activities', 'table-copy'), (own) => workOn(own, table, kebabOf(name, '_'))),
    },
    testFile(
      root,
      name,
      text(fileIn('test', 'table-copy'), (own) => testOn(own, table)),
    ),
    {
      file: fileIn('sample-rows', kebab),
      text: text(fileIn('sample-rows', 'table-copy'), (own) => rowsOf(own, table)),
    },
    {
      file: path.join(path.relative(root, migrations), `${nextNumber(migrations)}_${kebabOf(name, '_')}.sql`),
      text: text('migrations/table-copy.sql', (own) =>
        replaced(
          replaced(own, '  id bigint NOT NULL,\n', keyDefinition(table)),
          '(id)',
          keyListOf(table.key),
        ),
      ),
    },
  ];
}

/** The types, the columns and both tables of the work. @param target the table that is written to */
function workOn(text: string, { name, columns, key }: Table, target: string): string {
  const property = (own: string) => (isIdentifier(own) ? own : literal(own));
  const types = (table: string, of: readonly TableColumn[]) => {
    const members = of.map((column) => `${property(column.name)}: ${typeScriptOf(column)}`);
    return flatOrBroken(`  ${property(table)}: `, members, ';', 'type');
  };
  const names = (constant: string, of: readonly TableColumn[]) => {
    const texts = of.map((column) => literal(column.name));
    return flatOrBroken(`const ${constant} = `, texts, ' as const;');
  };
  const rows = (before: string, query: string, table: string, behind: string) =>
    flatOrBroken(before, ['pool', `query: ${query}`, `table: ${literal(table)}`, 'key'], behind, 'object');
  const written = key.map((column) => `${property(column.name)}: ${literal(column.type)}`);
  const writer = [`table: ${literal(target)}`, `columns: { ${written.join(', ')} }`];
  const lines: Readonly<Record<string, string>> = {
    '  sample_table: {': types(name, columns),
    '  table_copy: {': types(target, key),
    'const columns =': names('columns', columns),
    'const key =': names('key', key),
    '      reader:': rows('      reader: keysetReader(', 'rows.select(columns)', name, '),'),
    '      writer:': flatOrBroken('      writer: tableWriter(', writer, '),', 'object'),
    '      { pool, query: rows': rows('      ', 'rows.select(key)', name, ','),
    '      { pool, query: sql': rows('      ', `sql.selectFrom(${literal(target)}).select(key)`, target, ','),
  };
  return Object.entries(lines).reduce((own, [start, line]) => withLine(own, start, line), text);
}

function testOn(text: string, { key }: Table): string {
  const names = key.map(({ quoted }) => quoted).join(', ');
  return replaced(
    text,
    'table_copy (id) SELECT id FROM sample_table ORDER BY id',
    `table_copy (${names}) SELECT ${names} FROM sample_table ORDER BY ${names}`,
  );
}

/** The table where there is none, and rows with a value in each column that wants one. */
function rowsOf(text: string, { columns, key, schema }: Table): string {
  const wanting = columns.filter(({ required, filledBy }) => required && filledBy === null);
  // A row of a table that fills all by itself still has to name a column.
  const given = wanting.length > 0 ? wanting : key;
  const values = given.map((column) => sampleOf(column) ?? `NULL::${column.type} /* give it a value */`);
  const definitions = columns.map(
    ({ quoted, type, required, filledBy, label }) =>
      // A type of one's own may be where the table is, and nowhere else.
      `      ${[quoted, label === null ? type : 'text', filledBy, required && 'NOT NULL'].filter(Boolean).join(' ')},\n`,
  );
  const made = schema === undefined ? '' : `CREATE SCHEMA IF NOT EXISTS ${schema};\n    `;
  return [
    ['CREATE TABLE IF', `${made}CREATE TABLE IF`],
    ['      id bigint NOT NULL,\n', definitions.join('')],
    ['PRIMARY KEY (id)', `PRIMARY KEY ${keyListOf(key)}`],
    ['INTO sample_table (id)', `INTO sample_table (${given.map(({ quoted }) => quoted).join(', ')})`],
    ['SELECT number\n', `SELECT ${values.join(', ')}\n`],
  ].reduce((own, [part = '', by = '']) => replaced(own, part, by), text);
}

function keyDefinition({ key }: Table): string {
  return key.map(({ quoted, type }) => `  ${quoted} ${type} NOT NULL,\n`).join('');
}

function keyListOf(key: readonly TableColumn[]): string {
  return `(${key.map(({ quoted }) => quoted).join(', ')})`;
}

/** The names of both tables: in code as a text, in SQL and in comments as SQL takes them. */
function withTable(text: string, name: string, table: Table): string {
  const inCode = literal(table.name);
  return text
    .replaceAll(`'sample_table'`, inCode)
    .replaceAll('sample_table', table.quoted)
    .replaceAll(kebabOf('tableCopy', '_'), table.target)
    .replaceAll('of a table', `of ${table.name}`);
}

/** The job in the indexes of the project. */
function entries({ root }: JobPlace, name: string, withRows: boolean): WrittenFile[] {
  const kebab = kebabOf(name);
  const { contract, workflows, activities, sampleRows } = indexes;
  const changed = (file: string, ...changes: ((text: string) => string)[]): WrittenFile => ({
    file,
    changed: true,
    text: changes.reduce((text, change) => change(text), indexText(root, file)),
  });
  const work = `registerJob(${name}, ${name}Steps(${withRows ? 'opened' : ''}))`;
  return [
    changed(
      contract,
      (text) => withImport(text, `import { ${name} } from './${kebab}.ts';`),
      (text) => withElement(contract, text, /catalogue = \[/u, name),
    ),
    changed(workflows, (text) => `${text.trimEnd()}\nexport { ${name} } from './${kebab}.ts';\n`),
    changed(
      activities,
      (text) => withImport(text, `import { ${name} } from '../contract/${kebab}.ts';`),
      (text) => withImport(text, `import { ${name}Steps } from './${kebab}.ts';`),
      (text) => withElement(activities, text, /\[\s*registerJob\(|jobs: \(opened\) => \[/u, work),
    ),
    ...(withRows && existsSync(path.join(root, sampleRows))
      ? [
          changed(
            sampleRows,
            (text) => withImport(text, `import { ${name}Rows } from './${kebab}.ts';`),
            (text) => withElement(sampleRows, text, /tables = \[/u, `${name}Rows`),
          ),
        ]
      : []),
  ];
}

/** A test beside those that are there. */
function testFile(root: string, name: string, text: string): WrittenFile {
  const file = `${kebabOf(name)}.test.ts`;
  if (!existsSync(path.join(root, 'test/jobs'))) return { file: path.join('test', file), text };
  return { file: path.join('test/jobs', file), text: text.replaceAll(`'../src/`, `'../../src/`) };
}

function fileIn(part: string, kebab: string): string {
  return part === 'test' ? `test/${kebab}.test.ts` : `src/${part}/${kebab}.ts`;
}

function indexText(root: string, file: string): string {
  try {
    return readFileSync(path.join(root, file), 'utf8');
  } catch (error) {
    throw new ScaffoldError(
      `${file} cannot be read`,
      `Run this in a project that keeps its jobs as \`keystride init\` does: ${Object.values(indexes).slice(0, 3).join(', ')}.`,
      { cause: error },
    );
  }
}

/** The number after the highest one. */
function nextNumber(folder: string): string {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const highest = Math.max(0, ...names.map((name) => Number(/^(\d{4})_.*\.sql$/u.exec(name)?.[1] ?? 0)));
  return String(highest + 1).padStart(4, '0');
}

function renaming(pattern: string, name: string): (text: string) => string {
  return (text) => text.replaceAll(pattern, name).replaceAll(kebabOf(pattern), kebabOf(name));
}

/** With another line for the one that begins so. */
function withLine(text: string, start: string, line: string): string {
  const [found = start] = text.split('\n').filter((own) => own.startsWith(start));
  return replaced(text, found, line);
}

/** Refuses to leave a part as it is: the template has changed, and this file has not. */
function replaced(text: string, part: string, by: string): string {
  if (!text.includes(part)) throw new Error(`the template of a job has no ${part}`);
  return text.replaceAll(part, () => by);
}

function isIdentifier(name: string): boolean {
  return /^[A-Za-z_$][\w$]*$/u.test(name);
}

/** A text as prettier quotes it. */
function literal(text: string): string {
  const quotes = (mark: string) => text.split(mark).length;
  return quotes("'") > quotes('"')
    ? JSON.stringify(text)
    : `'${text.replaceAll(/['\\]/gu, String.raw`\$&`)}'`;
}
