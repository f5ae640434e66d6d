import { readFile, writeFile } from 'node:fs/promises';
import {
  bundleWorkflowCode,
  type WorkflowBundleOption,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';
import { encodeFailures, failureConverterPath } from '../settings/data-converter.ts';

/** Everything that runs in Temporal's sandbox, as one script. @param entry the module whose exports are the workflows */
export async function bundleWorkflows(entry: string): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath: entry, failureConverterPath, logger: quiet });
}

/** Bundles the workflows into a file. */
export async function writeWorkflowBundle(path: string, entry: string): Promise<void> {
  await writeFile(path, (await bundleWorkflows(entry)).code);
}

/**
 * The bundle to run: the one that is named, or one made now.
 * @param options.encrypted whether messages of failures are encrypted too
 */
export async function workflowBundle(
  named: string | undefined,
  entry: string,
  { encrypted }: { readonly encrypted: boolean },
): Promise<WorkflowBundleOption> {
  if (named !== undefined && !encrypted) return { codePath: named };
  const code = named === undefined ? (await bundleWorkflows(entry)).code : await readFile(named, 'utf8');
  return { code: encrypted ? `${encodeFailures}${code}` : code };
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
