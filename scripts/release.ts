/**
 * Makes a release: `npm run release -- X.Y.Z`, from a clean tree that CI has passed. It sets the version, dates the
 * changelog, records the histories of the release and replays those of every release, builds, packs, and lists what the
 * package is made of. Nothing leaves the machine: what there is to publish is tried with `npm publish --dry-run`.
 *
 * When the change has been looked at, committed and tagged, `npm run release -- X.Y.Z --publish` builds the same from the
 * tag and publishes it with provenance, which npm makes where CI vouches for it.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Command } from 'commander';

const root = path.join(import.meta.dirname, '..');
const library = path.join(root, 'packages/keystride');
const changelog = path.join(root, 'CHANGELOG.md');

/** Files that name the version, with the words before it. */
const versioned: Readonly<Record<string, RegExp>> = {
  'package.json': /("version": "|"keystride": ")[^"]+/gu,
  'packages/keystride/package.json': /("version": ")[^"]+/u,
  'packages/keystride/templates/project/package.json': /("keystride": ")[^"]+/u,
  'docker-compose.yml': /(image: keystride:)\S+/u,
};

interface Options {
  readonly publish?: true;
  readonly keepHistories?: true;
}

await new Command('release')
  .argument('<version>', 'X.Y.Z, above the present one')
  .option('--publish', 'publish the tag vX.Y.Z, which is checked out')
  .option('--keep-histories', 'do not record again: an earlier try of this release has')
  .action(release)
  .parseAsync()
  .catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });

function release(version: string, { publish, keepHistories }: Options): void {
  refuse(!/^\d+\.\d+\.\d+$/u.test(version), `${version} is no version: give three numbers, X.Y.Z.`);
  refuse(
    said('git', 'status', '--porcelain') !== '',
    'The tree is not clean: commit or stash what has changed.',
  );
  if (publish)
    refuse(said('git', 'tag', '--points-at', 'HEAD') !== `v${version}`, `HEAD is not the tag v${version}.`);
  else prepare(version, keepHistories);
  refuse(presentVersion() !== version, `package.json says ${presentVersion()}, not ${version}.`);
  const tarball = pack(version);
  run('npm', 'publish', tarball, '--provenance', '--access', 'public', ...(publish ? [] : ['--dry-run']));
  if (publish) return;
  console.log(`Prepared ${version}. Look at git diff, then:`);
  console.log(`  git add -A && git commit -m 'Release ${version}' && git tag v${version}`);
  console.log(`  npm run release -- ${version} --publish     # where CI vouches for it`);
}

/** Changes the tree into that of the release. */
function prepare(version: string, keepHistories: true | undefined): void {
  refuse(!isAbove(version, presentVersion()), `${version} is not above ${presentVersion()}.`);
  refuse(said('git', 'tag', '--list', `v${version}`) !== '', `The tag v${version} is there already.`);
  const [before = '', unreleased = ''] = readFileSync(changelog, 'utf8').split(/^## Unreleased\n/mu);
  const [own = ''] = unreleased.split(/^## /mu);
  refuse(
    own.trim() === '',
    'CHANGELOG.md has nothing below "## Unreleased": say what has changed for users.',
  );
  const heading = `## ${version} - ${new Date().toISOString().slice(0, 10)}`;
  writeFileSync(changelog, `${before}## Unreleased\n\n${heading}\n${unreleased}`);
  for (const [file, pattern] of Object.entries(versioned)) {
    const text = readFileSync(path.join(root, file), 'utf8');
    writeFileSync(path.join(root, file), text.replace(pattern, `$1${version}`));
  }
  writeLock(version);
  if (!keepHistories) run('npm', 'exec', '--', 'node', 'test/histories/record.ts');
  const histories = path.join(root, 'test/histories', version);
  refuse(!existsSync(histories), `There are no histories in ${histories}: leave --keep-histories out.`);
  run('npm', 'exec', '--', 'vitest', 'run', '--project', 'fast', 'test/replay.test.ts');
}

/** The lock file names the versions of the workspaces too. */
function writeLock(version: string): void {
  const file = path.join(root, 'package-lock.json');
  interface Entry {
    version: string;
    dependencies: Record<string, string>;
  }
  const lock = JSON.parse(readFileSync(file, 'utf8')) as Entry & { packages: Record<string, Entry> };
  const [own, workspace] = [lock.packages[''], lock.packages['packages/keystride']];
  if (own === undefined || workspace === undefined)
    throw new Error(`${file} lacks the workspaces: run npm install.`);
  for (const entry of [lock, own, workspace]) entry.version = version;
  own.dependencies['keystride'] = version;
  writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
}

/** Builds and packs the library, and writes beside it what it is made of. @returns the tarball */
function pack(version: string): string {
  const tarball = path.join(library, `keystride-${version}.tgz`);
  rmSync(tarball, { force: true });
  run('npm', 'run', 'pack');
  const sbom = said(
    'npm',
    'sbom',
    '--package-lock-only',
    '--sbom-format',
    'cyclonedx',
    '--omit',
    'dev',
    '--workspace',
    'keystride',
  );
  writeFileSync(path.join(library, 'sbom.json'), `${sbom}\n`);
  const hash = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  console.log(`${hash}  ${path.relative(root, tarball)}`);
  return tarball;
}

function presentVersion(): string {
  return (JSON.parse(readFileSync(path.join(library, 'package.json'), 'utf8')) as { version: string })
    .version;
}

function isAbove(version: string, other: string): boolean {
  return version.localeCompare(other, 'en', { numeric: true }) > 0;
}

/** @throws Error with what is wrong */
function refuse(wrong: boolean, what: string): void {
  if (wrong) throw new Error(what);
}

function run(program: string, ...words: string[]): void {
  execFileSync(program, words, { cwd: root, stdio: 'inherit' });
}

function said(program: string, ...words: string[]): string {
  return execFileSync(program, words, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 }).trim();
}
