/**
 * The configuration of a project, `keystride.config.ts`. It loads nothing: a command that shows its help is not to wait for
 * the drivers of databases.
 */
export {
  defineConfig,
  type DevelopmentParts,
  type FillRequest,
  type MigrationFolder,
  type OwnCommand,
  type ProjectConfig,
  type ProveSettings,
  type StubDefinition,
} from './project/config.ts';
