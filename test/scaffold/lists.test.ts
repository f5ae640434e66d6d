import { expect, test } from 'vitest';
import { withElement, withImport } from '../../packages/keystride/src/scaffold/lists.ts';

test('an import goes below the last one, those over several lines included', () => {
  const text = `import { a } from './a.ts';\nimport {\n  b,\n  c,\n} from './b.ts';\n\nexport const d = [a];\n`;
  expect(withImport(text, `import { e } from './e.ts';`)).toBe(
    `import { a } from './a.ts';\nimport {\n  b,\n  c,\n} from './b.ts';\nimport { e } from './e.ts';\n\nexport const d = [a];\n`,
  );
});

test('a list stays on its line as long as it fits there, and has an element a line otherwise', () => {
  const add = (text: string, element: string) => withElement('index.ts', text, /catalogue = \[/u, element);
  const short = add('export const catalogue = [one] satisfies JobDefinition[];\n', 'two');
  expect(short).toBe('export const catalogue = [one, two] satisfies JobDefinition[];\n');
  const long = 'aJobWithANameThatIsAsLongAsNamesOfJobsEverAre';
  expect(add(short, long)).toBe(`export const catalogue = [one, two, ${long}] satisfies JobDefinition[];\n`);
  expect(add(add(short, long), 'another')).toBe(
    `export const catalogue = [\n  one,\n  two,\n  ${long},\n  another,\n] satisfies JobDefinition[];\n`,
  );
});

test('an element with commas of its own is one element; a list of nothing gets its first', () => {
  const registered = `  jobs: (opened) => [registerJob(one, work(opened, { pool: [1, 2] }))],\n`;
  const known = /\[\s*registerJob\(|jobs: \(opened\) => \[/u;
  expect(withElement('index.ts', registered, known, 'registerJob(two, more(opened))')).toBe(
    `  jobs: (opened) => [registerJob(one, work(opened, { pool: [1, 2] })), registerJob(two, more(opened))],\n`,
  );
  expect(withElement('index.ts', '  jobs: (opened) => [],\n', known, 'two')).toBe(
    '  jobs: (opened) => [two],\n',
  );
});

test('where there is no such list the element is told, to be added by hand', () => {
  expect(() => withElement('index.ts', 'export {};\n', /catalogue = \[/u, 'two')).toThrow(
    'index.ts has no list to add the job to. Add it by hand: two',
  );
});
