import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type Block, blocksOf } from '../support/docs.ts';
import { wayToTheRegistry } from '../support/npm.ts';
import { packedLibrary } from '../support/packed-library.ts';

const tutorial = path.join(import.meta.dirname, '../../docs/tutorial.md');

/** Where all of it happens; nothing of this repository is found by walking up from there. */
let place: string;
let tarball: string;

beforeAll(() => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-first-job-'));
  // Open for passing through: PostgreSQL may run as another user.
  chmodSync(place, 0o711);
  for (const directory of ['work', 'home']) mkdirSync(path.join(place, directory));
  tarball = packedLibrary(place);
}, 120_000);

afterAll(() => rmSync(place, { recursive: true, force: true }));

/**
 * The tutorial as one script, since a reader has one shell: whatever ends otherwise than the tutorial says ends it, with
 * the line. Until the library is published, `npx` and the new project get it from the tarball.
 */
function scriptOf(blocks: readonly Block[]): string {
  return [
    'set -u',
    ...blocks.flatMap((block) => (block.file === undefined ? commands(block) : [fileOf(block)])),
  ].join('\n');
}

function fileOf({ file, text }: Block): string {
  return `cat > '${file}' <<'END_OF_FILE'\n${text}END_OF_FILE`;
}

function commands({ text, line }: Block): string[] {
  return text.split('\n').flatMap((whole, index) => {
    if (!whole.startsWith('$ ')) return [];
    const [, command = '', exitCode = '0'] = /^\$ (.*?)(?:\s+# exits with (\d+))?$/u.exec(whole) ?? [];
    const told = `tutorial.md:${line + index}: ${command}`.replaceAll("'", `'\\''`);
    const run =
      command === 'npx keystride init shop'
        ? `npx --yes --package='${tarball}' -- keystride init shop`
        : command;
    const published = command === 'cd shop' ? [`npm pkg set 'dependencies.keystride=file:${tarball}'`] : [];
    const judged = `code=$?; [ $code -eq ${exitCode} ] || { echo "FAILED with $code"; exit 1; }`;
    return [`echo '### ${told}'`, run, run.endsWith('&') ? '' : judged, ...published];
  });
}

test('the tutorial leads from an empty directory to a job that is proved', { timeout: 900_000 }, async () => {
  const blocks = blocksOf(readFileSync(tutorial, 'utf8')).filter(
    ({ language, file }) => language === 'sh' || file !== undefined,
  );
  const home = path.join(place, 'home');
  const child = spawn('bash', ['-c', scriptOf(blocks)], {
    cwd: path.join(place, 'work'),
    // Programs that were fetched once are shared, as npm's cache is; everything else is empty.
    env: {
      PATH: `${path.dirname(process.execPath)}${path.delimiter}/usr/local/bin${path.delimiter}/usr/bin${path.delimiter}/bin`,
      HOME: home,
      KEYSTRIDE_HOME: path.join(home, '.keystride'),
      KEYSTRIDE_CACHE: inject('keystride').cache,
      ...wayToTheRegistry(),
      npm_config_cache: process.env['npm_config_cache'] ?? path.join(process.env['HOME'] ?? '', '.npm'),
      npm_config_prefer_offline: 'true',
      npm_config_audit: 'false',
      NO_COLOR: '1',
    },
    // One group, so that all of it can be ended.
    detached: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  try {
    const [exitCode] = (await once(child, 'close')) as unknown[];
    expect(exitCode, output).toBe(0);
  } finally {
    if (child.pid !== undefined) endGroup(child.pid);
  }
  // Of 3,000 vouchers 298 were used, and 2 set aside.
  expect(output).toMatch(/'2700'\W+'2700'/u);
  expect(output).toMatch(/2 runs: 0 lost, 0 doubled, books balanced, verified/u);
  expect(output).toContain("'ten per cent'");
  // Before the two are corrected they are missing; then both sides agree.
  expect(output).toMatch(/not verified: .* 2 differences.*\bredrive --watch.*:run=1 {2}verified: /su);
});

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}
