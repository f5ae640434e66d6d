import { fileURLToPath } from 'node:url';
import { loadProject } from '../project/project.ts';

/**
 * The life of a worker process: reads the environment, connects, serves the project's jobs until it is asked to end, and
 * exits. What it needs and does not have is named on stderr, and the exit code is 1.
 *
 * @param config the configuration's file. @default the one in the working directory or the nearest above it
 */
export async function runWorker(config?: string | URL): Promise<never> {
  const { runWorkerOf } = await import('./run-worker.ts');
  const file = config === undefined ? undefined : fileURLToPath(new URL(config));
  return runWorkerOf(Promise.resolve().then(() => loadProject(file)));
}
