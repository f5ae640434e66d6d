import { writeFile } from 'node:fs/promises';
import {
  bundleWorkflowCode,
  type WorkflowBundleOption,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

/** Everything that runs in Temporal's sandbox, as one script. @param entry the module whose exports are the workflows */
export async function bundleWorkflows(entry: string): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: entry, logger: quiet });
}

/** Bundles the workflows into a file. */
export async function writeWorkflowBundle(path: string, entry: string): Promise<void> {
  await writeFile(path, (await bundleWorkflows(entry)).code);
}

/** The bundle to run: the one that is named, or one made now. */
export async function workflowBundle(
  named: string | undefined,
  entry: string,
): Promise<WorkflowBundleOption> {
  return named === undefined ? bundleWorkflows(entry) : { codePath: named };
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
