import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { progressText } from '../dev/progress.ts';
import { loadProject, noProject, projectFile } from '../project/project.ts';
import { cacheOf } from '../settings/places.ts';
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
 * them when the last project is done. The processes of the run keep compiled code in the cache, and its servers collect
 * garbage less often: `NODE_COMPILE_CACHE` and `GOGC`, unless they are set already. PostgreSQL does not wait for the disk:
 * what a test has committed outlives the server, which it may kill, but not the machine.
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

/**
 * What the processes of a run inherit. Each file of tests, worker, stub and command loads the same modules: it finds their
 * compiled code beside that of the command, and takes a quarter to a half of the processor time less to start. (vitest
 * leaves it out where coverage is counted.) Temporal's server, a Go program, collects garbage less often, for a sixth of
 * its processor time and some memory.
 */
function spareTheProcessor(): void {
  process.env['NODE_COMPILE_CACHE'] ??= path.join(cacheOf(process.env), 'compiled');
  process.env['GOGC'] ??= '400';
}

async function bringUp(root: string): Promise<RunningServers> {
  spareTheProcessor();
  const file = projectFile(process.env, root);
  if (file === undefined) throw noProject();
  return startTestServers(await loadProject(file), (event) => console.log(progressText(event)));
}
