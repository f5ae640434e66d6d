import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

interface Finding {
  code: string;
  filename: string;
}

const root = path.join(import.meta.dirname, '..');

/** A line of code, and the rule that must object to it. */
const refused: [code: string, rule: string][] = [
  [`declare function work(): Promise<void>;\nwork();`, 'no-floating-promises'],
  [`declare const works: (() => Promise<boolean>);\nif (works()) throw new Error();`, 'no-misused-promises'],
  [`export const anything: any = 1;`, 'no-explicit-any'],
];

let directory: string;
/** The rules that each file offends against, by its name. */
let findings: Map<string, Finding[]>;

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'keystride-rules-'));
  await copyFile(path.join(root, '.oxlintrc.json'), path.join(directory, '.oxlintrc.json'));
  await writeFile(
    path.join(directory, 'tsconfig.json'),
    '{ "compilerOptions": { "strict": true, "types": [] } }',
  );
  for (const [index, [code]] of refused.entries())
    await writeFile(path.join(directory, `refused-${index}.ts`), `${code}\nexport {};\n`);
  findings = Map.groupBy(await lint(), ({ filename }) => path.basename(filename, '.ts'));
});

afterAll(() => rm(directory, { recursive: true }));

test.each(refused.map((line, index) => [...line, index] as const))(
  'the linter refuses: %s',
  (_code, rule, index) => {
    expect(rulesOf(`refused-${index}`)).toContain(rule);
  },
);
function lint(): Promise<Finding[]> {
  const programs = path.join(root, 'node_modules/.bin');
  const environment = { ...process.env, OXLINT_TSGOLINT_PATH: path.join(programs, 'tsgolint') };
  return new Promise((resolve, reject) => {
    // Findings are its purpose here, so the exit code says nothing.
    const options = { cwd: directory, env: environment };
    execFile(
      path.join(programs, 'oxlint'),
      ['--type-aware', '-f', 'json'],
      options,
      (_error, stdout, stderr) => {
        try {
          resolve((JSON.parse(stdout) as { diagnostics: Finding[] }).diagnostics);
        } catch (error) {
          reject(new Error(`oxlint did not answer: ${stdout} ${stderr}`, { cause: error }));
        }
      },
    );
  });
}

/** The rules by their bare names: `eslint(no-unused-vars)` is `no-unused-vars`. */
function rulesOf(name: string): string[] {
  return (findings.get(name) ?? []).map(({ code }) => /\((.*)\)/.exec(code)?.[1] ?? code);
}
