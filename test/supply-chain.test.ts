import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import path from 'node:path';
import { expect, test } from 'vitest';
import { listening } from './support/listening.ts';

const root = path.join(import.meta.dirname, '..');

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, object>>;
}

function json(file: string): unknown {
  return JSON.parse(readFileSync(path.join(root, file), 'utf8'));
}

const library = json('packages/keystride/package.json') as Manifest;
const repository = json('package.json') as Manifest;
const page = readFileSync(path.join(root, 'docs/dependencies.md'), 'utf8');

/** The packages that the tables of a section name, each with what stands beside it. */
function listedIn(section: string): Record<string, string[]> {
  const [, text = ''] = page.split(`## ${section}\n`);
  const [own = ''] = text.split('\n## ');
  const rows = Array.from(own.matchAll(/^\| `([^`]+)` +\|(.+)\|$/gmu), ([, name = '', cells = '']) => {
    return [name, cells.split('|').map((cell) => cell.trim())] as const;
  });
  return Object.fromEntries(rows);
}

function namesOf(...groups: (Readonly<Record<string, unknown>> | undefined)[]): string[] {
  return groups.flatMap((group) => Object.keys(group ?? {})).toSorted();
}

test('the page of dependencies names those of the library, each with a reason', () => {
  expect(namesOf(listedIn('Of the library'))).toEqual(namesOf(library.dependencies));
  const beside = listedIn('Beside it');
  expect(namesOf(beside)).toEqual(namesOf(library.peerDependencies));
  const optional = Object.keys(beside).filter((name) => beside[name]?.[1] === 'yes');
  expect(optional.toSorted()).toEqual(namesOf(library.peerDependenciesMeta));
  const reasons = Object.values({ ...listedIn('Of the library'), ...beside }).map(([reason]) => reason);
  expect(reasons.filter((reason) => !reason)).toEqual([]);
});

test('and those of the repository that are not the library’s too', () => {
  const known = namesOf(library.dependencies, library.peerDependencies, { keystride: '' });
  const own = namesOf(repository.dependencies, repository.devDependencies).filter(
    (name) => !known.includes(name),
  );
  expect(namesOf(listedIn('Of the repository'))).toEqual(own);
});

test('what the repository and the library install has exact versions', () => {
  const versions = [repository.dependencies, repository.devDependencies, library.dependencies].flatMap(
    (group) => Object.entries(group ?? {}),
  );
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/u.test(version))).toEqual([]);
});

/** A package of the lock file. */
interface Locked {
  readonly link?: boolean;
  readonly license?: string;
  readonly integrity?: string;
}

const locked = Object.entries(
  (json('package-lock.json') as { packages: Record<string, Locked> }).packages,
).filter(([place, { link }]) => place.includes('node_modules/') && !link);

/** Packages that are not installed on every machine, or do not say it in their package.json. */
const toldElsewhere: readonly (readonly [RegExp, string])[] = [
  // What a package installs for one platform has the licence of that package.
  [/^@swc\/core-/u, 'Apache-2.0'],
  [/^(@oxc-parser\/binding-|@oxlint-tsgolint\/|@oxlint\/binding-)/u, 'MIT'],
  // In its README, and the file LICENSE.
  [/^unionfs$/u, 'Unlicense'],
];

function nameOf(place: string): string {
  return place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function licenceOf(place: string, { license }: Locked): string {
  if (license !== undefined) return license;
  const manifest = path.join(place, 'package.json');
  const installed = existsSync(path.join(root, manifest))
    ? (json(manifest) as { license?: string }).license
    : undefined;
  return installed ?? toldElsewhere.find(([name]) => name.test(nameOf(place)))?.[1] ?? 'none';
}

test('every package of the lock file has a licence that is allowed', () => {
  const [, section = ''] = page.split('## Licences\n');
  const [, list = ''] = /Allowed: (.+?)\. MPL/u.exec(section) ?? [];
  const allowed = list.replace(/, and (\S+) for data.*$/u, ', $1').split(', ');
  expect(allowed).toHaveLength(9);
  const wrong = locked
    .map(([place, entry]) => [nameOf(place), licenceOf(place, entry)] as const)
    .filter(([name, licence]) => {
      if (licence === 'MPL-2.0') return !/^(axe-core|lightningcss(-.+)?)$/u.test(name);
      if (licence === 'CC-BY-4.0') return name !== 'caniuse-lite';
      return licence.split(' AND ').some((part) => !allowed.includes(part));
    });
  expect(wrong).toEqual([]);
});

test('every package that is installed here has a hash in the lock file', () => {
  const wrong = locked.filter(
    ([place, { integrity }]) => existsSync(path.join(root, place)) && !integrity?.startsWith('sha512-'),
  );
  expect(wrong.map(([place]) => place)).toEqual([]);
});

/** What `npm run audit` says when npm asks a registry that answers so. */
async function audited(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const registry = await listening(
    createServer((request, response) => {
      request.resume();
      answer(request, response);
    }),
  );
  const env = { ...process.env, npm_config_registry: `${registry.url}/` };
  try {
    return await new Promise<{ code: number; said: string }>((resolve) => {
      execFile(process.execPath, ['scripts/audit.ts'], { cwd: root, env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : 1, said: stdout + stderr }),
      );
    });
  } finally {
    await registry.stop();
  }
}

function advisory(severity: string) {
  const url = 'https://github.com/advisories/GHSA-none-such-here';
  return [
    {
      id: 1,
      url,
      title: 'It gives way',
      severity,
      vulnerable_versions: '>=0.0.1',
      cwe: [],
      cvss: { score: 9 },
    },
  ];
}

const asked = (request: IncomingMessage) => request.url?.endsWith('/advisories/bulk') === true;

test('the audit fails for what is high in the library, and names it', async () => {
  const { code, said } = await audited((request, response) =>
    response
      .writeHead(asked(request) ? 200 : 404, { 'content-type': 'application/json' })
      .end(asked(request) ? JSON.stringify({ undici: advisory('high') }) : '{}'),
  );
  expect(said).toContain('high: undici: It gives way https://github.com/advisories/GHSA-none-such-here');
  expect(code).toBe(1);
});

test('the audit lets what is high in tools alone pass', async () => {
  const { code, said } = await audited((request, response) =>
    response
      .writeHead(asked(request) ? 200 : 404, { 'content-type': 'application/json' })
      .end(asked(request) ? JSON.stringify({ 'fast-check': advisory('high') }) : '{}'),
  );
  expect(said).toContain('repository: 1 advisories, 0 that count');
  expect(code).toBe(0);
});

test('the audit says that a registry is away, and fails nothing', async () => {
  const { code, said } = await audited((_, response) => response.writeHead(405).end());
  expect(said).toMatch(/NOT AUDITED \(installed\).*405/u);
  expect(code).toBe(0);
});
