import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { ledgerTables } from '../packages/keystride/src/ledger/schema.ts';

const root = path.join(import.meta.dirname, '..');
const library = path.join(root, 'packages/keystride/src');

/**
 * The rooms of the library, each with those that it may import from: the lower ones. Whatever stands in `src` itself is
 * an entry of the package, and imports what it gives out.
 */
const rooms: Readonly<Record<string, readonly string[]>> = {
  contract: [],
  telemetry: ['contract'],
  stores: ['contract', 'telemetry'],
  ledger: ['contract', 'stores'],
  job: ['contract', 'stores', 'ledger'],
  page: ['contract', 'telemetry', 'stores', 'ledger', 'job'],
  operations: ['contract', 'telemetry', 'stores', 'ledger', 'job', 'page'],
  workflow: ['contract'],
  workflows: ['contract', 'workflow'],
  'table-sync': ['contract', 'stores', 'ledger', 'job', 'page', 'workflow'],
  settings: ['contract', 'stores'],
  project: ['contract', 'stores', 'job', 'settings'],
  host: ['contract', 'telemetry', 'stores', 'ledger', 'job', 'page', 'operations', 'settings', 'project'],
  dev: ['contract', 'stores', 'ledger', 'settings', 'project', 'host'],
  prove: ['contract', 'stores', 'ledger', 'page', 'settings', 'project', 'dev'],
  testing: ['contract', 'stores', 'ledger', 'settings', 'project', 'host', 'dev', 'prove'],
  scaffold: ['contract', 'stores', 'dev'],
  operator: ['contract', 'stores', 'ledger', 'workflow', 'settings', 'project', 'host', 'dev'],
  console: ['contract', 'stores', 'ledger', 'workflow', 'settings', 'project', 'host', 'dev', 'operator'],
  codec: ['contract', 'settings', 'console'],
  doctor: ['contract', 'stores', 'ledger', 'job', 'settings', 'project', 'host', 'dev', 'operator'],
  cli: [
    'contract',
    'stores',
    'ledger',
    'settings',
    'project',
    'host',
    'dev',
    'prove',
    'scaffold',
    'operator',
    'console',
    'codec',
    'doctor',
  ],
};

/** Rooms that run in Temporal's sandbox or are seen by it, and the packages that they may import. */
const packages: Readonly<Record<string, RegExp>> = {
  contract: /^(zod|@temporalio\/common|node:crypto)$/u,
  workflow: /^@temporalio\/(workflow|common)$/u,
  workflows: /^@temporalio\/(workflow|common)$/u,
};

interface Import {
  readonly file: string;
  readonly name: string;
  readonly typeOnly: boolean;
  /** Where it is needed, not at the file's head. */
  readonly lazy: boolean;
}

/** What a file imports, whether at its head, where it is needed, or by passing it on. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const declared = text.matchAll(/^(?:import|export)\s+(type\s)?[^;'"]*?from\s+'([^']+)'/gmu);
  const others = text.matchAll(/^import '([^']+)'|\bimport\('([^']+)'\)/gmu);
  return [
    ...Array.from(declared, ([, type, name = '']) => ({
      ...{ file, name, typeOnly: type !== undefined, lazy: false },
    })),
    ...Array.from(others, ([, bare, lazy]) => ({
      ...{ file, name: bare ?? lazy ?? '', typeOnly: false, lazy: lazy !== undefined },
    })),
  ];
}

function filesIn(directory: string): string[] {
  return globSync('**/*.ts', { cwd: directory }).map((file) => path.join(directory, file));
}

function roomOf(file: string): string | undefined {
  const [room = '', ...rest] = path.relative(library, file).split(path.sep);
  return rest.length > 0 ? room : undefined;
}

function isOurs({ name }: Import): boolean {
  return name.startsWith('.');
}

function targetOf({ file, name }: Import): string {
  return path.resolve(path.dirname(file), name);
}

function told({ file, name }: Import): string {
  return `${path.relative(root, file)} imports ${name}`;
}

test('every room of the library is in the table', () => {
  const found = new Set(filesIn(library).flatMap((file) => roomOf(file) ?? []));
  expect([...found].toSorted()).toEqual(Object.keys(rooms).toSorted());
});

describe.each(Object.entries(rooms))('room %s', (room, below) => {
  const imports = filesIn(path.join(library, room)).flatMap(importsOf);

  test('imports the rooms below it alone', () => {
    expect(imports.length).toBeGreaterThan(0);
    const wrong = imports.filter(isOurs).filter((one) => {
      const other = roomOf(targetOf(one));
      return other !== room && !below.some((allowed) => allowed === other);
    });
    expect(wrong.map(told)).toEqual([]);
  });

  test('imports no package that its place forbids', () => {
    const allowed = packages[room];
    const wrong = imports.filter(
      (one) => allowed && !isOurs(one) && !one.typeOnly && !allowed.test(one.name),
    );
    expect(wrong.map(told)).toEqual([]);
  });
});

test('the rooms below a room are below each other in one order, so that there is no way back', () => {
  const seen: string[] = [];
  for (const [room, below] of Object.entries(rooms)) {
    expect(
      below.filter((other) => !seen.includes(other)),
      room,
    ).toEqual([]);
    seen.push(room);
  }
});

/** What is left of the files when those are taken away, again and again, that import none of the others. */
function inCircles(files: readonly string[]): readonly string[] {
  const left = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter((one) => isOurs(one) && !one.lazy)
        .map(targetOf),
    ]),
  );
  for (let before = Infinity; left.size < before;) {
    before = left.size;
    for (const [file, targets] of left) if (!targets.some((one) => left.has(one))) left.delete(file);
  }
  return [...left.keys()].map((file) => path.relative(root, file));
}

// What a command is loaded by names it: the table of commands is known to some of those that it loads.
test.each(['packages/keystride/src', 'src', 'bench', 'test'])(
  'no files of %s import each other in a circle',
  (folder) => {
    const files = filesIn(path.join(root, folder));
    expect(files.length).toBeGreaterThan(10);
    expect(inCircles(files)).toEqual([]);
  },
);

// The first user of the library, and the jobs of bench and tests, know it as everybody does.
test.each(['src', 'bench/jobs', 'test/support/jobs'])(
  '%s imports the library by its public names',
  (folder) => {
    const wrong = filesIn(path.join(root, folder))
      .flatMap(importsOf)
      .filter((one) => (isOurs(one) ? targetOf(one).startsWith(path.join(root, 'packages')) : false));
    expect(wrong.map(told)).toEqual([]);
  },
);

test('nobody imports a program', () => {
  const wrong = ['src', 'packages/keystride/src', 'test', 'bench']
    .flatMap((folder) => filesIn(path.join(root, folder)))
    .flatMap(importsOf)
    .filter((one) => isOurs(one) && /\/(src|jobs)\/worker\.ts$/u.test(targetOf(one)));
  expect(wrong.map(told)).toEqual([]);
});

describe('SQL on the ledger', () => {
  const names = Object.keys(ledgerTables).map((name) => name.replace('.', String.raw`\.`));
  const ledger = new RegExp(String.raw`(${names.join('|')}|ledgerSql)\b`, 'u');
  const isComment = (line: string) => /^\s*(\/\/|\/?\*)/u.test(line);
  const hasIt = (file: string) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .some((line) => !isComment(line) && ledger.test(line));

  test('stands in the room of the ledger alone', () => {
    const outside = filesIn(library).filter((file) => roomOf(file) !== 'ledger' && hasIt(file));
    expect(outside).toEqual([]);
  });

  test('is found where it stands', () => {
    expect(hasIt(path.join(library, 'ledger/checkpoint.ts'))).toBe(true);
  });
});
