import type { JobDefinition } from '../contract/job.ts';
import { loadJobs, loadProject, projectFile } from '../project/project.ts';

/**
 * Every job of the project that the command was called in, in its order. Outside of a project there are none: what runs
 * can be looked at and controlled from anywhere. Only what asks for it has to wait until the contracts are loaded.
 * @throws ProjectError
 */
export async function catalogue(): Promise<readonly JobDefinition[]> {
  const file = projectFile();
  return file === undefined ? [] : loadJobs(await loadProject(file));
}

/** The job of that name, if there is one. @throws ProjectError */
export async function findJob(name: string): Promise<JobDefinition | undefined> {
  return (await catalogue()).find((job) => job.name === name);
}
