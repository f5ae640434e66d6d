import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linkPackages } from '../support/released-build.ts';

const root = path.join(import.meta.dirname, '../..');
const version = '9.9.9';

/** A checkout of its own, in which a release may change what it wants. */
let checkout: string;

beforeAll(() => {
  checkout = mkdtempSync(path.join(tmpdir(), 'keystride-release-'));
  const left = new Set(['node_modules', '.git', 'dist', '.vitest']);
  cpSync(root, checkout, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !left.has(path.basename(source)) && !source.endsWith('.tgz'),
  });
  linkPackages(checkout);
  // What recording takes minutes for; `record.ts` is tried whenever a release is made.
  const histories = path.join(checkout, 'test/histories');
  cpSync(path.join(histories, '0.1.0/alert.json'), path.join(histories, version, 'alert.json'));
  git('init', '--quiet');
  commit('Begin');
}, 120_000);

afterAll(() => rmSync(checkout, { recursive: true, force: true }));

function git(...words: string[]): string {
  const identity = ['-c', 'user.name=nobody', '-c', 'user.email=nobody@example.org'];
  return execFileSync('git', [...identity, ...words], { cwd: checkout, encoding: 'utf8' }).trim();
}

function commit(subject: string): void {
  git('add', '--all');
  git('commit', '--quiet', '--message', subject);
}

/** Runs the script to its end. */
async function release(...words: string[]): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    const options = { cwd: checkout, env: { ...process.env, CI: '' }, maxBuffer: 2 ** 26 };
    execFile(process.execPath, ['scripts/release.ts', ...words], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : 1, said: stdout + stderr }),
    );
  });
}

const text = (file: string) => readFileSync(path.join(checkout, file), 'utf8');

test.each([
  ['a word', ['next'], /next is no version/u],
  ['the present version', ['0.1.0'], /0\.1\.0 is not above 0\.1\.0/u],
  ['a tag that is not checked out', [version, '--publish'], /HEAD is not the tag v9\.9\.9/u],
])('%s is refused', async (_, words, why) => {
  const { code, said } = await release(...words);
  expect(said).toMatch(why);
  expect(code).toBe(1);
  expect(git('status', '--porcelain')).toBe('');
});

test('a tree with changes is refused', async () => {
  writeFileSync(path.join(checkout, 'forgotten.txt'), '');
  expect(await release(version)).toMatchObject({ code: 1, said: expect.stringMatching(/not clean/u) });
  rmSync(path.join(checkout, 'forgotten.txt'));
});

test('a release is prepared: version, changelog, replay, package, what it is made of; and nothing is published', async () => {
  const { code, said } = await release(version, '--keep-histories');
  expect(said).toContain(`git tag v${version}`);
  expect(code).toBe(0);
  expect(said).toMatch(/9\.9\.9\/alert\.json replays|\d+ passed, 0 failed/u);
  expect(text('CHANGELOG.md')).toMatch(/^## Unreleased\n\n## 9\.9\.9 - \d{4}-\d\d-\d\d\n/mu);
  for (const file of ['package.json', 'packages/keystride/package.json'])
    expect(JSON.parse(text(file))).toMatchObject({ version });
  expect(text('packages/keystride/templates/project/package.json')).toContain(`"keystride": "${version}"`);
  expect(git('diff', '--name-only', '--', 'package-lock.json')).toBe('package-lock.json');
  expect(text('package-lock.json')).not.toMatch(/"name": "keystride(-jobs)?",\n\s*"version": "0\.1\.0"/u);

  const sbom = JSON.parse(text('packages/keystride/sbom.json')) as {
    readonly bomFormat: string;
    readonly components: readonly { readonly name: string }[];
  };
  expect(sbom.bomFormat).toBe('CycloneDX');
  expect(sbom.components.map(({ name }) => name)).toEqual(expect.arrayContaining(['pino', 'hono', 'undici']));
  expect(said).toMatch(/^[0-9a-f]{64} {2}packages\/keystride\/keystride-9\.9\.9\.tgz$/mu);
  expect(git('tag', '--list')).toBe('');
}, 400_000);

test('the package has what it needs, and nothing else', () => {
  const tarball = path.join(checkout, `packages/keystride/keystride-${version}.tgz`);
  const listed = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
  const files = listed.map((file) => file.replace(/^package\//u, ''));
  const kinds =
    /^(LICENSE|README\.md|package\.json|(sql|templates|tools)\/.+|console\/assets\/.+|.+\.(js|d\.ts|map)|src\/.+\.ts)$/u;
  expect(files.filter((file) => !kinds.test(file))).toEqual([]);
  expect(
    files.filter(
      (file) =>
        /(^|\/)(test|node_modules|\.env|\.npmrc|\.api)(\/|$)|\.test\.|\.tgz$/u.test(file) &&
        !file.startsWith('templates/'),
    ),
  ).toEqual([]);
  // Maps name sources of the package, and no place of the machine that has built it.
  const unpacked = path.join(checkout, 'unpacked');
  mkdirSync(unpacked);
  execFileSync('tar', ['-xzf', tarball, '-C', unpacked]);
  const sources = files
    .filter((file) => file.endsWith('.map'))
    .flatMap((file) => {
      const map = JSON.parse(readFileSync(path.join(unpacked, 'package', file), 'utf8')) as {
        sources: string[];
      };
      return map.sources.map((source) => path.posix.join(path.posix.dirname(file), source));
    });
  expect(sources.length).toBeGreaterThan(100);
  expect(sources.filter((source) => !files.includes(source))).toEqual([]);
  const named = files.filter((file) =>
    readFileSync(path.join(unpacked, 'package', file), 'utf8').includes(checkout),
  );
  expect(named).toEqual([]);
  expect(readFileSync(tarball).byteLength).toBeLessThan(2 * 2 ** 20);
});
