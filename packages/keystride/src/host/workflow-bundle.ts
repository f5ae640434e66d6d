import { readFile, writeFile } from 'node:fs/promises';
import { type BundleOptions, bundleWorkflowCode, type WorkflowBundleOption } from '@temporalio/worker';
import { encodeFailures, failureConverterPath } from '../settings/data-converter.ts';

interface Bundle {
  readonly code: string;
  /** The paths that the bundler has looked at, whether there was something or not. */
  readonly inputs: readonly string[];
}

type WebpackConfiguration = Parameters<NonNullable<BundleOptions['webpackConfigHook']>>[0];

/** Everything that runs in Temporal's sandbox, as one script. @param entry the module whose exports are the workflows */
export async function bundleWorkflows(entry: string): Promise<Bundle> {
  const inputs = new Set<string>();
  const webpackConfigHook = (config: WebpackConfiguration): WebpackConfiguration => ({
    ...config,
    plugins: [
      ...(config.plugins ?? []),
      (compiler) =>
        compiler.hooks.afterCompile.tap('keystride', ({ fileDependencies, missingDependencies }) => {
          for (const input of [...fileDependencies, ...missingDependencies]) inputs.add(input);
        }),
    ],
  });
  const options = { workflowsPath: entry, failureConverterPath, logger: quiet, webpackConfigHook };
  const { code } = await bundleWorkflowCode(options);
  return { code, inputs: [...inputs].toSorted() };
}

/** Bundles the workflows into a file. @returns the paths that the bundler has looked at */
export async function writeWorkflowBundle(path: string, entry: string): Promise<readonly string[]> {
  const { code, inputs } = await bundleWorkflows(entry);
  await writeFile(path, code);
  return inputs;
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
