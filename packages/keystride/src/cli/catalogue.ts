import type { JobDefinition } from '../contract/job.ts';
import { loadJobs, loadProject, projectFile } from '../project/project.ts';

let known: readonly JobDefinition[] = [];

/**
 * Reads the contracts of the project that the command was called in, before a command asks for one. Outside of a
 * project there are none: what runs can be looked at and controlled from anywhere.
 * @throws ProjectError
 */
export async function loadCatalogue(): Promise<void> {
  const file = projectFile();
  if (file !== undefined) known = await loadJobs(await loadProject(file));
}

/** Every job of the project, in its order. */
export function catalogue(): readonly JobDefinition[] {
  return known;
}

/** The job of that name, if there is one. */
export function findJob(name: string): JobDefinition | undefined {
  return known.find((job) => job.name === name);
}
