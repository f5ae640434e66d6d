import { readFileSync, realpathSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import path from 'node:path';
import { ToldError } from '../contract/errors.ts';

/** The packages that know one another by their classes: one must be there once, and all of one release. */
const names = ['activity', 'client', 'common', 'worker', 'workflow'].map((name) => `@temporalio/${name}`);

/** A package as somebody finds it. */
interface Copy {
  readonly name: string;
  readonly directory: string;
  readonly version: string;
  /** Who finds it: `keystride`, `the project`, `@temporalio/worker`. */
  readonly finder: string;
}

/** A package is there twice, or Temporal's are of several releases: which, where, and what to do. */
export class PackageCopiesError extends ToldError {
  override readonly name = 'PackageCopiesError';
}

/**
 * Looks whether this worker and the project find the same keystride, and both and Temporal's own worker the same of
 * Temporal's packages: an object of one copy is a stranger to the other.
 *
 * @param projectFile a file of the project, such as its configuration
 * @throws PackageCopiesError
 */
export function refuseTwoCopies(projectFile: string): void {
  refuseTwoOfOurs(projectFile);
  refuseTwoOfTemporal(projectFile);
}

/** With two copies of keystride, an item that the project's `SkipItem` was to set aside would end its step. */
function refuseTwoOfOurs(projectFile: string): void {
  const [ours, found] = [
    copyAt(findPackageJSON('..', import.meta.filename), 'keystride', 'this worker'),
    copyOf('keystride', 'the project', projectFile),
  ];
  if (!ours || !found || ours.directory === found.directory) return;
  throw new PackageCopiesError(
    `keystride is installed 2 times: ${told([ours, found])}. Neither knows what the other throws and makes. ` +
      'Start the worker by the copy of the project: `npx keystride worker` in its directory, or its own `src/worker.ts`; ' +
      '`npm ls keystride` there shows who brings another.',
  );
}

/** With two copies of one of them a worker starts, takes work, and does none of it. */
function refuseTwoOfTemporal(projectFile: string): void {
  const worker = packageFile('@temporalio/worker', import.meta.filename);
  const finders = [
    { finder: 'keystride', file: import.meta.filename },
    { finder: 'the project', file: projectFile },
    ...(worker === undefined ? [] : [{ finder: '@temporalio/worker', file: worker }]),
  ];
  const copies = names.flatMap((name) =>
    finders.flatMap(({ finder, file }) => copyOf(name, finder, file) ?? []),
  );
  for (const name of names) {
    const found = differing(
      copies.filter((copy) => copy.name === name),
      ({ directory }) => directory,
    );
    if (found.length > 1) throw refused(`${name} is installed ${found.length} times`, found, name);
  }
  const releases = differing(copies, ({ version }) => version);
  if (releases.length > 1) throw refused("Temporal's packages are of several releases", releases);
}

/** What somebody finds under a name; nothing where the package cannot be found from there. */
function copyOf(name: string, finder: string, file: string): Copy | undefined {
  return copyAt(packageFile(name, file), name, finder);
}

function copyAt(manifest: string | undefined, name: string, finder: string): Copy | undefined {
  if (manifest === undefined) return undefined;
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: string };
  return { name, finder, directory: path.dirname(manifest), version };
}

function packageFile(name: string, seenFrom: string): string | undefined {
  try {
    const manifest = findPackageJSON(name, realpathSync(seenFrom));
    return manifest === undefined ? undefined : realpathSync(manifest);
  } catch {
    return undefined;
  }
}

/** The first copy of each kind. */
function differing(copies: readonly Copy[], kindOf: (copy: Copy) => string): readonly Copy[] {
  return [...Map.groupBy(copies, kindOf).values()].flatMap(([first]) => first ?? []);
}

function told(found: readonly Copy[]): string {
  return found.map((copy) => `${copy.name} ${copy.version} in ${copy.directory} (${copy.finder})`).join('; ');
}

function refused(what: string, found: readonly Copy[], name?: string): PackageCopiesError {
  const [ours] = found;
  return new PackageCopiesError(
    `${what}: ${told(found)}. A worker would take work and do none of it. ` +
      `Give the project's package.json exactly ${ours?.version ?? 'one release'} of ${names.join(', ')}, and install again; ` +
      `\`npm ls ${name ?? names.join(' ')}\` shows who brings another.`,
  );
}
