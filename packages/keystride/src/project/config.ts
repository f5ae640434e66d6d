import type { JobDefinition } from '../contract/job.ts';
import type { WorkerDefinition } from './worker-definition.ts';

/** Something, or a function that has it when it is needed: what a command does not need is then not even loaded. */
export type Lazily<Value> = Value | (() => Value | Promise<Value>);

/** What `keystride.config.ts` says of a project: see `defineConfig`. */
export interface ProjectConfig {
  /** The contracts of the jobs, in the order in which the catalogue shows them. */
  readonly jobs: Lazily<readonly JobDefinition[]>;
  /** The module whose exports are the workflows: a path relative to the config. It also exports `keystride/workflows`. */
  readonly workflows: string;
  /** What a worker works with, see `defineWorker`; or the module that has it as its default export. */
  readonly worker: Lazily<WorkerDefinition | { readonly default: WorkerDefinition }>;
  /**
   * What the ledger knows the project by, and tells it from others that use that ledger: an instance that one has claimed
   * is refused to another (`OtherProject`). @default the name in the nearest package.json that has one
   */
  readonly name?: string;
  /** What it was called until now: what it has claimed under such a name is its own. @default none */
  readonly formerly?: readonly string[];
  /** Where runs go. `KEYSTRIDE_TASK_QUEUE` goes before it. @default keystride */
  readonly taskQueue?: string;
  /** Tables of one's own, which `keystride migrate` makes besides the ledger. @default none */
  readonly migrations?: readonly MigrationFolder[];
  /** What `keystride dev` brings up besides Temporal, PostgreSQL and workers. */
  readonly dev?: DevelopmentParts;
  /** What `keystride prove` needs to know. */
  readonly prove?: ProveSettings;
  /** Commands of one's own, which `keystride` has besides its own. @default none */
  readonly commands?: readonly OwnCommand[];
}

/** Numbered SQL files, `0001_orders.sql`, each applied once and in a transaction of its own. */
export interface MigrationFolder {
  /** What the files are recorded under: changing it later applies them again, unless `formerly` has the old one. */
  readonly name: string;
  /** The name of the set until now: files that are recorded under it have been applied. */
  readonly formerly?: string;
  /** A path relative to the config. */
  readonly folder: string;
  /** The variable with the database's address. @default DATABASE_URL */
  readonly database?: 'DATABASE_URL' | 'SOURCE_DATABASE_URL';
}

/** Parts of a development stack that not every project has. */
export interface DevelopmentParts {
  /** A server that speaks MongoDB's protocol, as `MONGODB_URL`. @default false */
  readonly mongodb?: boolean;
  /** Stubs that stand for other people's systems, each a process of its own. @default none */
  readonly stubs?: readonly StubDefinition[];
}

/** A program that stands for a system of somebody else: it listens on the `--port` that it is given. */
export interface StubDefinition {
  /** In camelCase, such as `legacyApi`: of its process, its log and the options of `keystride dev`. */
  readonly name: string;
  /** A path relative to the config. Its first line on stdout is `{"url":"http://127.0.0.1:PORT"}`. */
  readonly program: string;
  /** What it stands for, in a sentence: `the legacy API`. */
  readonly standsFor: string;
  /** The variable that names a real one, and tells workers where the stub is: `LEGACY_API_URL`. */
  readonly variable: string;
}

/** What runs of `keystride prove` work with. */
export interface ProveSettings {
  /** Added to the environment of the workers. */
  readonly environment?: Readonly<Record<string, string>>;
  /** The arguments of the stubs, by the stub's name. */
  readonly stubArguments?: Readonly<Record<string, readonly string[]>>;
  /** Fills two migrated, empty databases, where the user has named none. */
  readonly fill?: (request: FillRequest) => Promise<void>;
}

/** Two empty databases, and about how many rows there are to be. */
export interface FillRequest {
  readonly databaseUrl: string;
  readonly sourceDatabaseUrl: string;
  readonly rows: number;
}

/** A command of one's own: what `load` brings is a command of the package commander, and gets its name and description from here. */
export interface OwnCommand {
  readonly name: string;
  /** One line, for the help. */
  readonly description: string;
  readonly load: () => Promise<OwnCommandModule>;
}

/** Made by whichever copy of commander the project has. */
export interface OwnCommandModule {
  readonly default: () => unknown;
}

/** The configuration of a project, with its types: `export default defineConfig({ … })` in `keystride.config.ts`. */
export function defineConfig(config: ProjectConfig): ProjectConfig {
  return config;
}
