import { createHash } from 'node:crypto';
import {
  existsSync,
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
import { ourModule } from './own-files.ts';
import { type Project, projectPath } from '../project/project.ts';
import type { Reporter } from './progress.ts';

/**
 * The bundle of all workflows, built once for all workers of a stack and kept as long as nothing changes that went into
 * it. Built by a process of its own: bundling would block the event loop that watches the parts come up.
 * @returns its path
 */
export async function workflowBundle(project: Project, cache: string, report: Reporter): Promise<string> {
  const directory = path.join(cache, 'workflow-bundles');
  mkdirSync(directory, { recursive: true });
  const entry = projectPath(project, project.config.workflows);
  const inputs = path.join(directory, `${hashOf([entry])}.json`);
  const known = knownInputs(inputs);
  const kept = known && path.join(directory, `${hashOfInputs(project, known)}.js`);
  if (kept !== undefined && existsSync(kept)) {
    const now = new Date();
    for (const file of [kept, inputs]) utimesSync(file, now, now);
    return kept;
  }
  report.step('bundling the workflows (once a change)');
  const unfinished = `${inputs}.${process.pid}`;
  const begun = Date.now();
  const made = { bundle: `${unfinished}.js`, inputs: unfinished };
  await run(process.execPath, [ourModule('dev/write-workflow-bundle'), entry, made.bundle, made.inputs], {
    timeoutMs: 120_000,
  });
  const read = knownInputs(made.inputs) ?? [];
  const bundle = path.join(directory, `${hashOfInputs(project, read)}.js`);
  renameSync(made.bundle, bundle);
  renameSync(made.inputs, inputs);
  // What was written while it was read may be in the bundle or not: then the next start bundles again.
  if (read.some((file) => changedSince(file, begun))) rmSync(inputs);
  forgetOthers(directory, bundle);
  return bundle;
}

/** What the bundler looked at when it made the last bundle of an entry; undefined for an entry without one. */
function knownInputs(file: string): readonly string[] | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as readonly string[]) : undefined;
}

/** What says how a project is bundled, and with which versions. */
const settingsOfBundler = [
  'package.json',
  'package-lock.json',
  'pnpm-lock.yaml',
  'yarn.lock',
  'tsconfig.json',
  '.swcrc',
];

/** All that the bundler looked at as it is now, and the versions of what it is built with. */
function hashOfInputs({ root }: Project, inputs: readonly string[]): string {
  const settings = settingsOfBundler.map((file) => path.join(root, file));
  const bundler = [ourModule('host/workflow-bundle'), ourModule('settings/data-converter')];
  return hashOf([...settings, ...bundler, ...inputs].flatMap((file) => [file, contentOf(file)]));
}

function hashOf(parts: readonly (string | Buffer)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length} `).update(part);
  return hash.digest('hex').slice(0, 20);
}

/** What a file holds; a word for what is no file. */
function contentOf(file: string): string | Buffer {
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return 'absent';
  return found.isFile() ? readFileSync(file) : 'directory';
}

function changedSince(file: string, moment: number): boolean {
  const found = statSync(file, { throwIfNoEntry: false });
  return found?.isFile() === true && found.mtimeMs >= moment;
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
