import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  bundleWorkflowCode,
  type WorkflowBundleOption,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

const besides = (name: string) => fileURLToPath(new URL(name, import.meta.url));

/** The bundle that a build leaves beside the compiled worker. */
const built = besides('./workflow-code.js');

/** Everything that runs in Temporal's sandbox, as one script: from the given entry, or from `src/workflows`. */
export async function bundleWorkflows(entry = workflowEntry()): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: entry, logger: quiet });
}

/** Bundles the workflows into a file. */
export async function writeWorkflowBundle(path: string, entry?: string): Promise<void> {
  await writeFile(path, (await bundleWorkflows(entry)).code);
}

/** The bundle to run: the one that is named, the one that was built, or one made now. */
export async function workflowBundle(named: string | undefined): Promise<WorkflowBundleOption> {
  const codePath = named ?? (existsSync(built) ? built : undefined);
  return codePath === undefined ? bundleWorkflows() : { codePath };
}

function workflowEntry(): string {
  const source = besides('./workflows/index.ts');
  return existsSync(source) ? source : besides('./workflows/index.js');
}

const ignore = () => undefined;
const quiet = {
  log: ignore,
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: console.warn,
  error: console.error,
};
