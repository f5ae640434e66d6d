import path from 'node:path';
import { inject } from 'vitest';
import { loadProject, projectFile } from '../../packages/keystride/src/project/project.ts';
import { bundleOf } from '../../packages/keystride/src/testing/bundles.ts';

/** The bundle for a worker program, made once a run: of the project that the program is in. @returns its path */
export async function bundleFor(program: string): Promise<string> {
  return bundleOf(await loadProject(projectFile({}, path.dirname(program))), inject('keystride').bundles);
}
