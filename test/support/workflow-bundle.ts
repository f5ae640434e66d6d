import { createHash } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';
import { writeWorkflowBundle } from '../../packages/keystride/src/host/workflow-bundle.ts';

/**
 * The bundle for a worker program, made once a run: of `workflows.ts` or `workflows/index.ts` beside the program.
 *
 * @returns its path
 */
export async function bundleFor(program: string): Promise<string> {
  const entry = entryBeside(program);
  const name = createHash('sha256').update(entry).digest('hex').slice(0, 12);
  const bundle = path.join(inject('sharedStack').bundles, `${name}.js`);
  if (existsSync(bundle)) return bundle;
  // Two files of tests may make it at the same time; whoever is last wins, with the same content.
  const unfinished = `${bundle}.${process.pid}`;
  await writeWorkflowBundle(unfinished, entry);
  renameSync(unfinished, bundle);
  return bundle;
}

function entryBeside(program: string): string {
  const folder = path.dirname(program);
  const entries = ['workflows.ts', 'workflows/index.ts'].map((name) => path.join(folder, name));
  const entry = entries.find((candidate) => existsSync(candidate));
  if (entry === undefined) throw new Error(`no workflows beside ${program}: ${entries.join(', ')}`);
  return entry;
}
