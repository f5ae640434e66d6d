import type { Command } from 'commander';
import { type AuthorOptions, withAuthor } from './author.ts';
import { collect, outputOption, type OutputOptions } from './options.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { forgetStream } from './sync/forget.ts';
import { listStreams } from './sync/list.ts';
import { rewindStream } from './sync/rewind.ts';
import { keystride } from '../operator/called-as.ts';

const help = `
A stream is what the runs of a sync have in common: its table, its target and the order it is read in.

list    shows how far each stream has come, how far behind its source it is, and what is wrong with it
rewind  moves a stream back: the next run copies the rows from there on again, by upsert
forget  takes a stream out of the list, for one whose table is gone: another run would copy everything again

Examples:
  $ keystride sync list
  $ keystride sync rewind targetSync:id --from 5000
  $ keystride sync rewind targetSync:updated_at,id --from "2025-10-01T00:00:00Z"
  $ keystride sync rewind targetSync:id --to-start
  $ keystride sync forget 'tableSync:shop.item>shop.item:id'`;

interface RewindOptions extends OutputOptions, AuthorOptions {
  from?: string[];
  toStart?: true;
}

/** `keystride sync`: where the streams of targetSync and tableSync stand. */
export function syncCommand(command: Command): Command {
  command.addHelpText('after', help);
  command
    .command('list')
    .description('streams, offsets and lag')
    .addOption(outputOption())
    .action((options: OutputOptions) => listStreams(options));
  withAuthor(command.command('rewind'))
    .description('let the next run copy again what it has copied before')
    .argument('<stream>', 'as `list` shows it')
    .option(
      '--from <value>',
      'the first key to copy again; once for each of its columns, the last ones may be left out',
      collect,
    )
    .option('--to-start', 'copy everything again')
    .addOption(outputOption())
    .action((stream: string, { from = [], toStart, ...options }: RewindOptions) => {
      if (from.length > 0 === (toStart === true))
        throw new CommandError(
          { what: 'sync rewind takes either --from or --to-start', todo: `${keystride} sync rewind --help` },
          { exitCode: exitCodes.usage, type: 'Usage' },
        );
      return rewindStream(stream, { from, ...options });
    });
  withAuthor(command.command('forget'))
    .description('forget how far a stream has come; refused while it runs')
    .argument('<stream>', 'as `list` shows it')
    .addOption(outputOption())
    .action((stream: string, options: OutputOptions & AuthorOptions) => forgetStream(stream, options));
  return command;
}
