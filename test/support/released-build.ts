import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';

const root = path.join(import.meta.dirname, '../..');
const histories = path.join(root, 'test/histories');

/** Another build than that of this checkout: sources, which Node takes as they are. */
export interface Build {
  /** Its worker, with its workflows, to be given to `startWorker`. */
  readonly worker: { readonly program: string; readonly environment: NodeJS.ProcessEnv };
  /** Runs its command to the end. @returns what it has printed */
  keystride(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<string>;
}

/** The build that the last release was, as `record.ts` has kept it. */
export interface ReleasedBuild extends Build {
  readonly version: string;
}

/**
 * Unpacks the last release into a directory. Its packages are those of this checkout, which have to be of releases that
 * it can work with.
 */
export async function releasedBuild(directory: string): Promise<ReleasedBuild> {
  const [archive] = globSync('*/build.tar.br', { cwd: histories });
  if (archive === undefined) throw new Error('no release has kept its build: node test/histories/record.ts');
  mkdirSync(directory, { recursive: true });
  const input = brotliDecompressSync(readFileSync(path.join(histories, archive)));
  execFileSync('tar', ['-x', '-C', directory], { input });
  linkPackages(directory);
  return { version: path.dirname(archive), ...(await buildIn(directory)) };
}

/** The present sources with other packages than those of this checkout: a path for each name that is to be found elsewhere. */
export async function presentBuild(
  directory: string,
  packages: Readonly<Record<string, string>>,
): Promise<Build> {
  mkdirSync(directory, { recursive: true });
  const sources = ['package.json', 'keystride.config.ts', 'src', 'packages/keystride/package.json'];
  for (const part of [...sources, 'packages/keystride/src'])
    cpSync(path.join(root, part), path.join(directory, part), { recursive: true });
  linkPackages(directory, packages);
  return buildIn(directory);
}

/** Bundles the workflows of the sources in a directory. */
async function buildIn(directory: string): Promise<Build> {
  const run = async (words: readonly string[], env = process.env): Promise<string> =>
    (await promisify(execFile)(process.execPath, [...words], { cwd: directory, env })).stdout;
  // In 0.1.0 library and jobs were one package, and its command made no bundle.
  const isFirst = existsSync(path.join(directory, 'src/cli.ts'));
  const command = isFirst ? 'src/cli.ts' : 'packages/keystride/src/cli/main.ts';
  const bundle = path.join(directory, 'workflows.js');
  const makeBundle = `(await import('./src/workflow-bundle.ts')).writeWorkflowBundle(${JSON.stringify(bundle)})`;
  await run(isFirst ? ['--input-type=module', '--eval', `await ${makeBundle}`] : [command, 'bundle', bundle]);
  return {
    worker: {
      program: path.join(directory, 'src/worker.ts'),
      environment: {
        KEYSTRIDE_WORKFLOW_BUNDLE: bundle,
        KEYSTRIDE_CONFIG: path.join(directory, 'keystride.config.ts'),
      },
    },
    keystride: (words, environment) => run([command, ...words], environment),
  };
}

/**
 * Gives a directory the packages of this checkout, but for keystride itself, which is the directory's own.
 *
 * @param others where packages lie that are not to be those of this checkout, by name or scope
 */
export function linkPackages(directory: string, others: Readonly<Record<string, string>> = {}): void {
  const packages = path.join(directory, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync(path.join(root, 'node_modules')))
    if (name !== 'keystride')
      symlinkSync(others[name] ?? path.join(root, 'node_modules', name), path.join(packages, name));
  const own = path.join(directory, 'packages/keystride');
  if (existsSync(own)) symlinkSync(own, path.join(packages, 'keystride'));
}
