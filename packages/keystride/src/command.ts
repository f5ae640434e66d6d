/** What a command of one's own is written with, so that it speaks, fails and ends as those of `keystride` do. */
export { keystride } from './cli/called-as.ts';
export { withSession, type Session } from './cli/connection.ts';
export { databaseProblem, reasonOf } from './cli/explain.ts';
export { count, plain } from './cli/format.ts';
export type { LiveProgress } from './cli/heartbeats.ts';
export { outputOption, wholeNumber, type OutputOptions } from './cli/options.ts';
export { CommandError, exitCodes, printJson, printLine, progressLine, type ExitCode } from './cli/output.ts';
export { colouredStatus } from './cli/render.ts';
export { startRequest, startRun, untilOpened, type StartedRun } from './cli/start.ts';
export { exitCodeOf, watch } from './cli/watch.ts';
export { shellWord } from './contract/shell.ts';
export { loadSettings } from './dev/settings.ts';
export { loadConfig, type Config } from './settings/config.ts';
export { cacheOf, homeOf } from './settings/places.ts';
export { withoutCredentials } from './settings/environment.ts';
export { loadProject } from './project/project.ts';
export { databaseProblemOf } from './stores/postgres/problems.ts';
export { safeMessage } from './stores/safe-message.ts';
