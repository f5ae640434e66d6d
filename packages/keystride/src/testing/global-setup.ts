import type { TestProject } from 'vitest/node';
import { progressText } from '../dev/progress.ts';
import { loadProject, noProject, projectFile } from '../project/project.ts';
import { type RunningServers, startTestServers } from './servers.ts';

/**
 * One set of servers for all projects of a run. Each project has its setup evaluated in a module graph of its own, so it
 * is kept where they all see it.
 */
const holder = globalThis as typeof globalThis & {
  keystrideTestServers?: { run: Promise<RunningServers>; users: number };
};

/**
 * The `globalSetup` of vitest: brings the servers up once a run, for `createWorld` of `keystride/testing/vitest`, and ends
 * them when the last project is done.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const held = (holder.keystrideTestServers ??= { run: bringUp(project.config.root), users: 0 });
  held.users++;
  const { servers, stop } = await held.run;
  project.provide('keystride', servers);
  return async () => {
    held.users--;
    if (held.users > 0) return;
    delete holder.keystrideTestServers;
    await stop();
  };
}

async function bringUp(root: string): Promise<RunningServers> {
  const file = projectFile(process.env, root);
  if (file === undefined) throw noProject();
  return startTestServers(await loadProject(file), (event) => console.log(progressText(event)));
}
