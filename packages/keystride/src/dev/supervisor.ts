import { ConfigError } from '../settings/config.ts';
import { loadProject } from '../project/project.ts';
import { PartError } from './part.ts';
import type { ProgressEvent } from './progress.ts';
import { progressText } from './progress.ts';
import { supervise, supervisorOptionsSchema } from './supervise.ts';

/** What a detached supervisor tells the command that started it. */
export type SupervisorMessage =
  | { type: 'progress'; event: ProgressEvent }
  | { type: 'up' }
  | { type: 'failed'; what: string; where: string; todo: string };

/** Run as a program of its own by `keystride dev --detach`: owns the stack until it is told to stop. */
const options = supervisorOptionsSchema.parse(JSON.parse(process.argv[2] ?? ''));
let up = false;

// Whoever started us is gone before all was up, by Ctrl-C for instance: then nobody wants the stack.
process.on('disconnect', () => {
  if (!up) process.exit(130);
});

try {
  const { project: file, ...others } = options;
  const project = file === undefined ? {} : { project: await loadProject(file) };
  const { ended } = await supervise({ ...others, ...project, onProgress });
  up = true;
  tell({ type: 'up' });
  await ended;
  process.exit(0);
} catch (error) {
  console.error(error);
  const failure = error instanceof PartError ? error : unexpected(error);
  process.send?.(
    { type: 'failed', what: failure.what, where: failure.where, todo: failure.todo },
    undefined,
    undefined,
    () => process.exit(1),
  );
}

function onProgress(event: ProgressEvent): void {
  console.error(`${new Date().toISOString()} ${progressText(event)}`);
  tell({ type: 'progress', event });
}

function tell(message: SupervisorMessage): void {
  // The command that started us goes away as soon as all is up.
  if (process.connected) process.send?.(message, () => {});
}

function unexpected(error: unknown): { what: string; where: string; todo: string } {
  if (error instanceof ConfigError) {
    const problems = error.problems.map(({ variable, problem }) => `${variable} ${problem}`);
    return { what: problems.join('; '), where: 'the environment', todo: error.todo };
  }
  const what = error instanceof Error ? error.message : String(error);
  return { what, where: options.home, todo: 'Read logs/supervisor.log in the home directory.' };
}
