import type { Command } from 'commander';
import type { ControlRequest, TuneRequest, Tuning } from '../contract/messages.ts';
import { commandAuthor } from '../operator/author.ts';
import { type Session, withSession } from '../operator/connection.ts';
import { readExecution } from '../operator/execution.ts';
import { plain } from '../operator/format.ts';
import { type Control, sendControl } from '../operator/control.ts';
import { type AuthorOptions, withAuthor } from './author.ts';
import { outputOption, type OutputOptions, wholeNumber } from './options.ts';
import { printJson, printLine } from './output.ts';
import { colouredStatus } from './render.ts';

interface ControlOptions extends OutputOptions, AuthorOptions {}

interface TuneOptions extends ControlOptions, Tuning {}

/** `keystride pause` */
export const pauseCommand = (command: Command): Command => withReason(command, 'pause');

/** `keystride resume` */
export const resumeCommand = (command: Command): Command => withReason(command, 'resume');

/** `keystride stop` */
export const stopCommand = (command: Command): Command => withReason(command, 'stop');

/** `keystride skip` */
export const skipCommand = (command: Command): Command => withReason(command, 'skip');

function withReason(command: Command, control: Exclude<Control, 'tune'>): Command {
  const example = control === 'resume' ? '' : ' --reason "the API is being upgraded"';
  const why = control === 'resume' ? undefined : 'shown wherever the state is, and kept in the audit';
  return withAuthor(withExamples(command, control, example), why).action(
    (id: string, options: ControlOptions) => send(control, id, commandAuthor(options), options),
  );
}

/** `keystride tune` */
export function tuneCommand(command: Command): Command {
  return withAuthor(withExamples(command, 'tune', ' --concurrency 100'))
    .option('--chunk-size <n>', 'items in one transaction', wholeNumber(1, 100_000))
    .option(
      '--concurrency <n>',
      'items being processed at a time, over all partitions',
      wholeNumber(1, 10_000),
    )
    .option('--partitions <n>', 'partitions running at a time', wholeNumber(1, 1_000))
    .option(
      '--rows-per-second <n>',
      'items started a second, over all partitions; 0 lifts it',
      wholeNumber(0, 1e9),
    )
    .action((id: string, { output, reason, operator, ...tuning }: TuneOptions) =>
      send('tune', id, { ...tuning, ...commandAuthor({ reason, operator }) }, { output }),
    );
}

function withExamples(command: Command, control: Control, example = ''): Command {
  return command.addOption(outputOption()).addHelpText('after', helpOf(control, example));
}

function helpOf(control: Control, example: string): string {
  return `
Examples:
  $ keystride ${control} documentMigration:run=2${example}
  $ keystride ${control} documentMigration:run=2${control === 'tune' ? example : ''} -o json

The same without keystride:
  $ temporal workflow update execute --workflow-id documentMigration:run=2 --name ${control}${
    control === 'tune' ? ` --input '{"concurrency":100}'` : ''
  }`;
}

async function send(
  which: Control,
  workflowId: string,
  request: ControlRequest | TuneRequest,
  options: OutputOptions,
): Promise<void> {
  const { status, warning } = await withSession(async (session) => {
    const answer = await sendControl(session, which, workflowId, request);
    return { ...answer, warning: which === 'pause' ? await warningOf(session, workflowId) : undefined };
  });
  if (options.output === 'json')
    return printJson({ workflowId, status, ...(warning !== undefined && { warning }) });
  printLine(`${workflowId}  ${colouredStatus(status)}`);
  if (warning !== undefined) printLine(`  ${plain(warning, 500)}`);
}

/** What a run at rest means for its source. Loaded where somebody pauses: it opens the ledger. */
async function warningOf({ client }: Session, workflowId: string): Promise<string | undefined> {
  const { keptMeanwhile } = await import('../operator/syncs/kept.ts');
  return keptMeanwhile((await readExecution(client, workflowId)).progress);
}
