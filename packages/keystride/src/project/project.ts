import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { JobDefinition } from '../contract/job.ts';
import type { ProjectName } from '../contract/project-name.ts';
import { ProblemError, ToldError } from '../contract/told-error.ts';
import type { WorkerDefinition } from './worker-definition.ts';
import type { Lazily, MigrationFolder, OwnCommand, ProjectConfig, StubDefinition } from './config.ts';

const configNames = ['ts', 'mts', 'js', 'mjs'].map((extension) => `keystride.config.${extension}`);

/** A project: the directory of its configuration, and what that says. */
export interface Project {
  /** Paths in the configuration are relative to it. */
  readonly root: string;
  /** The file. */
  readonly file: string;
  readonly config: ProjectConfig;
}

/** No project, or one whose configuration cannot be used: what is wrong, where, and what to do. */
export class ProjectError extends ProblemError {
  override readonly name = 'ProjectError';
}

/**
 * The configuration's file: the one that `KEYSTRIDE_CONFIG` names, else `keystride.config.ts` (or .mts, .js, .mjs) in
 * the working directory or the nearest one above it. Undefined where there is none.
 */
export function projectFile(
  env: NodeJS.ProcessEnv = process.env,
  directory = process.cwd(),
): string | undefined {
  const named = env['KEYSTRIDE_CONFIG'];
  if (named) return path.resolve(directory, named);
  for (let at = path.resolve(directory); ; at = path.dirname(at)) {
    const found = configNames.map((name) => path.join(at, name)).find((file) => existsSync(file));
    if (found !== undefined || at === path.dirname(at)) return found;
  }
}

/** What there is to say where no configuration is found. */
export function noProject(): ProjectError {
  return new ProjectError({
    what: 'there is no keystride.config.ts',
    where: `${process.cwd()} and above`,
    todo: 'Run this in a project, or make one: npx keystride init DIR',
  });
}

const loaded = new Map<string, Promise<Project>>();

/**
 * Reads the configuration of the project that the working directory is in, once.
 * @throws ProjectError where there is none, or where it cannot be loaded or is none of `defineConfig`
 */
export function loadProject(file = projectFile()): Promise<Project> {
  if (file === undefined) throw noProject();
  const known = loaded.get(file) ?? read(file);
  loaded.set(file, known);
  return known;
}

async function read(file: string): Promise<Project> {
  const config = await importConfig(file);
  const wrong = problemOf(config);
  if (wrong !== undefined)
    throw new ProjectError({
      what: wrong,
      where: file,
      todo: 'Write it as: export default defineConfig({ jobs, workflows, worker })',
    });
  return { root: path.dirname(file), file, config: config as ProjectConfig };
}

async function importConfig(file: string): Promise<unknown> {
  const module = await loading('the configuration', file, () => import(pathToFileURL(file).href));
  return (module as { readonly default?: unknown }).default;
}

/** What the project's own modules say while they load is shown: no row has been read yet. @throws ProjectError */
async function loading<Value>(
  what: string,
  file: string,
  load: () => Value | Promise<Value>,
): Promise<Value> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof ToldError) throw error;
    throw new ProjectError(
      {
        what: `${what} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
        where: file,
        todo: 'Correct it; `node FILE` shows where it fails.',
      },
      { cause: error },
    );
  }
}

function problemOf(config: unknown): string | undefined {
  if (typeof config !== 'object' || config === null) return 'its default export is no configuration';
  const { jobs, workflows, worker, name, formerly = [] } = config as Partial<ProjectConfig>;
  if (jobs === undefined) return 'it names no jobs';
  if (typeof workflows !== 'string') return 'it does not say which module has the workflows';
  if (worker === undefined) return 'it does not say what a worker works with';
  const names: readonly unknown[] = [...(name === undefined ? [] : [name]), ...formerly];
  if (!names.every((one) => typeof one === 'string' && one.trim() !== ''))
    return 'a name of it, in `name` or `formerly`, is none';
  return undefined;
}

/** By what the ledger tells the project from others. */
export function nameOf({ root, config }: Pick<Project, 'root' | 'config'>): ProjectName {
  return { name: config.name ?? packageName(root), formerly: config.formerly ?? [] };
}

/** Of the nearest package.json that has a name: one of a folder of compiled files often says the type of its modules alone. */
function packageName(directory: string): string | undefined {
  for (let at = directory; ; at = path.dirname(at)) {
    const name = nameIn(path.join(at, 'package.json'));
    if (name !== undefined || at === path.dirname(at)) return name;
  }
}

function nameIn(file: string): string | undefined {
  try {
    const { name } = JSON.parse(readFileSync(file, 'utf8')) as { readonly name?: unknown };
    return typeof name === 'string' && name !== '' ? name : undefined;
  } catch {
    // None is there, or none that can be read: npm says so, where it matters.
    return undefined;
  }
}

/** The contracts of the project's jobs. @throws ProjectError */
export async function loadJobs(project?: Project): Promise<readonly JobDefinition[]> {
  const { config, file } = project ?? (await loadProject());
  return loading("the project's jobs", file, () => valueOf(config.jobs));
}

/** What the project's workers work with. @throws ProjectError */
export async function loadWorkerDefinition({ config, file }: Project): Promise<WorkerDefinition> {
  const loadedModule = await loading('what a worker works with', file, () => valueOf(config.worker));
  return 'default' in loadedModule ? loadedModule.default : loadedModule;
}

/** The project's own commands; none outside of one. */
export async function ownCommands(): Promise<readonly OwnCommand[]> {
  const file = projectFile();
  return file === undefined ? [] : ((await loadProject(file)).config.commands ?? []);
}

/** A file of the project, by its path relative to the configuration. */
export function projectPath({ root }: Pick<Project, 'root'>, relative: string): string {
  return path.resolve(root, relative);
}

/** The project's own migrations, their folders made absolute. */
export function migrationsOf(project: Project): readonly MigrationFolder[] {
  return (project.config.migrations ?? []).map((set) => ({
    ...set,
    folder: projectPath(project, set.folder),
  }));
}

/** The project's stubs, their programs made absolute. */
export function stubsOf(project: Project): readonly StubDefinition[] {
  return (project.config.dev?.stubs ?? []).map((stub) => ({
    ...stub,
    program: projectPath(project, stub.program),
  }));
}

function valueOf<Value>(lazily: Lazily<Value>): Value | Promise<Value> {
  return typeof lazily === 'function' ? (lazily as () => Value | Promise<Value>)() : lazily;
}
