import { writeFile } from 'node:fs/promises';
import { flushCompileCache } from 'node:module';
import path from 'node:path';
import type { Command } from 'commander';
import { loadProject, loadWorkerDefinition, type Project, projectPath } from '../project/project.ts';
import { oneLine } from '../contract/inert.ts';
import { safeMessage } from '../stores/safe-message.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { CommandError, type CommandErrorParts } from '../operator/command-error.ts';
import { printJson, printLine } from './output.ts';

const help = `
A worker that is given no bundle makes one when it starts, which takes seconds. Make it once, where the image or the
release of the workers is built, and tell them where it is: KEYSTRIDE_WORKFLOW_BUNDLE=/app/workflows.js
Its workflows are those of the sources that it was made from: make it anew for each release.
Where NODE_COMPILE_CACHE names a directory, the code that a worker loads is kept there compiled, for workers that have the
same user, Node and NODE_COMPILE_CACHE.

Examples:
  $ keystride bundle
  $ keystride bundle /app/workflows.js`;

/** `keystride bundle`: the project's workflows in one file, for the workers of production. */
export function bundleCommand(command: Command): Command {
  return command.addOption(outputOption()).addHelpText('after', help).action(bundle);
}

async function bundle(target: string, { output }: OutputOptions): Promise<void> {
  const project = await loadProject();
  const entry = projectPath(project, project.config.workflows);
  const { bundleWorkflows } = await import('../host/workflow-bundle.ts');
  const { code } = await bundleWorkflows(entry).catch((error: unknown) => {
    throw problem(error, {
      what: 'the workflows cannot be bundled',
      where: entry,
      todo: 'Correct what is named above. Workflows import keystride/workflow and types, and no Node modules.',
    });
  });
  const file = path.resolve(target);
  await writeFile(file, code).catch((error: unknown) => {
    throw problem(error, { what: 'the bundle cannot be written', where: file, todo: 'Name another file.' });
  });
  await keepWorkersCode(project);
  const bytes = Buffer.byteLength(code);
  if (output === 'json') return printJson({ file, bytes });
  printLine(`wrote ${target} (${Math.ceil(bytes / 1024)} KiB)`);
}

/** Node compiles what is loaded, and keeps it where its own variable says. Nothing connects to anything. */
async function keepWorkersCode(project: Project): Promise<void> {
  if (process.env['NODE_COMPILE_CACHE'] === undefined) return;
  await Promise.all([loadWorkerDefinition(project), import('../host/run-worker.ts')]);
  flushCompileCache();
}

function problem(error: unknown, { what, ...parts }: CommandErrorParts): CommandError {
  return new CommandError({ what: `${what}: ${oneLine(safeMessage(error))}`, ...parts }, { cause: error });
}
