import { createHash } from 'node:crypto';
import {
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import path from 'node:path';
import { run } from './executables.ts';
import { ourModule, packageRoot } from './own-files.ts';
import { type Project, projectPath } from '../project/project.ts';
import type { Reporter } from './progress.ts';

/**
 * The bundle of all workflows, built once for all workers of a stack and kept as long as no source changes.
 * Built by a process of its own: bundling would block the event loop that watches the parts come up.
 * @returns its path
 */
export async function workflowBundle(project: Project, cache: string, report: Reporter): Promise<string> {
  const directory = path.join(cache, 'workflow-bundles');
  mkdirSync(directory, { recursive: true });
  const bundle = path.join(directory, `${hashOfSources(project)}.js`);
  if (existsSync(bundle)) {
    const now = new Date();
    utimesSync(bundle, now, now);
    return bundle;
  }
  report.step('bundling the workflows (once a change)');
  const unfinished = `${bundle}.${process.pid}`;
  await run(
    process.execPath,
    [ourModule('dev/write-workflow-bundle'), projectPath(project, project.config.workflows), unfinished],
    { timeoutMs: 120_000 },
  );
  renameSync(unfinished, bundle);
  forgetOthers(directory, bundle);
  return bundle;
}

/** Everything that a workflow may import, of the project and of ours, and the versions of what it is built with. */
function hashOfSources({ root }: Project): string {
  const hash = createHash('sha256').update(root);
  // In a checkout of ours the one holds the other, which is not read twice.
  const holdsOurs =
    packageRoot.startsWith(`${root}${path.sep}`) && !/[\\/]node_modules[\\/]/u.test(packageRoot);
  for (const directory of holdsOurs ? [root] : [root, packageRoot]) {
    const files = globSync('**/*.{ts,mts,js,mjs,json}', {
      cwd: directory,
      exclude: (file) => /(^|[\\/])(node_modules|dist|\.[^\\/]+)([\\/]|$)/u.test(file),
    });
    for (const file of files.toSorted()) hash.update(file).update(readFileSync(path.join(directory, file)));
  }
  return hash.digest('hex').slice(0, 20);
}

/** A stack that is up starts workers from its bundle for so long without asking for it again, in milliseconds. */
const inUseFor = 3 * 24 * 60 * 60_000;

/** Removes bundles of other sources that nobody has used for days: another checkout may share the cache. */
export function forgetOthers(directory: string, current: string): void {
  const oldest = Date.now() - inUseFor;
  for (const name of readdirSync(directory)) {
    const file = path.join(directory, name);
    if (file !== current && (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? oldest) < oldest)
      rmSync(file, { force: true });
  }
}
