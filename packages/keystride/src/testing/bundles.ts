import { createHash } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { writeWorkflowBundle } from '../host/workflow-bundle.ts';
import { type Project, projectPath } from '../project/project.ts';

/**
 * The bundle of a project's workflows, made once in a directory.
 *
 * @returns its path
 */
export async function bundleOf(project: Project, directory: string): Promise<string> {
  const entry = projectPath(project, project.config.workflows);
  const name = createHash('sha256').update(entry).digest('hex').slice(0, 12);
  const bundle = path.join(directory, `${name}.js`);
  if (existsSync(bundle)) return bundle;
  // Two files of tests may make it at the same time; whoever is last wins, with the same content.
  const unfinished = `${bundle}.${process.pid}`;
  await writeWorkflowBundle(unfinished, entry);
  renameSync(unfinished, bundle);
  return bundle;
}
