import { type Command, Option } from 'commander';
import { withAuthor } from './author.ts';
import { shellWord } from '../contract/shell.ts';
import type { skipsActions } from './command-table.ts';
import type { SkipsOptions } from './skips-options.ts';
import { outputOption, wholeNumber } from './options.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { exportSkips } from './skips-export.ts';
import { skipStatuses } from '../ledger/skip-filter.ts';
import { listSkips } from './skips-list.ts';
import { redriveSkips } from './skips-redrive.ts';
import { waiveSkips } from './skips-waive.ts';
import { keystride } from '../operator/called-as.ts';

interface Action {
  readonly act: (id: string, options: SkipsOptions) => Promise<void>;
  /** The options that only some actions take. */
  readonly takes: readonly (keyof SkipsOptions)[];
}

type ActionName = (typeof skipsActions)[number];

const actions: Readonly<Record<ActionName, Action>> = {
  list: { act: listSkips, takes: ['limit', 'status'] },
  export: { act: exportSkips, takes: ['status'] },
  redrive: { act: redriveSkips, takes: ['watch', 'reason', 'operator'] },
  waive: { act: waiveSkips, takes: ['reason', 'operator'] },
};

/** Every action takes these, to mean fewer skips. */
const common: readonly string[] = ['fingerprint', 'key', 'step', 'output', 'debug'];

const help = `
list     groups them by cause, and shows the first of them
export   writes all of them to stdout: CSV, or with -o json one JSON value a line
redrive  runs the open ones again, as a run of its own, and closes those that succeed
waive    closes the open ones without running them, with a reason

Examples:
  $ keystride skips documentMigration:run=2 list
  $ keystride skips documentMigration:run=2 list --limit 1000 -o json
  $ keystride skips documentMigration:run=2 export --status open > skips.csv
  $ keystride skips documentMigration:run=2 redrive --fingerprint 'NOT_FOUND: …' --watch
  $ keystride skips documentMigration:run=2 redrive --key 17 --key 3500
  $ keystride skips documentMigration:run=2 waive --key 17 --reason "withdrawn by its author"

A redrive without keystride:
  $ temporal workflow start --type redrive --task-queue keystride --input '{"instance":"documentMigration:run=2"}'`;

/** `keystride skips`: the items that an instance has set aside, and what becomes of them. */
export function skipsCommand(command: Command): Command {
  return withAuthor(command, 'waive, redrive: why; waive wants it')
    .option('--fingerprint <cause>', 'only those of this cause, as `list` shows it')
    .option('--key <key...>', 'only these items')
    .option('--step <step>', 'only those of this step')
    .addOption(new Option('--status <status>', 'list, export: only these').choices([...skipStatuses]))
    .option('--limit <n>', 'list: show at most so many items', wholeNumber(0, 1_000_000), 50)
    .option('-w, --watch', 'redrive: show the progress until it ends')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(async (id: string, name: ActionName, options: SkipsOptions) => {
      const action = actions[name];
      refuseOtherOptions(id, name, action, command);
      await action.act(id, options);
    });
}

/** An option of another action is a mistake, and may be one that matters: `redrive --status waived` runs nothing. */
function refuseOtherOptions(id: string, name: string, { takes }: Action, command: Command): void {
  const given = Object.keys(command.opts()).filter(
    (option) => command.getOptionValueSource(option) === 'cli',
  );
  const wrong = given.find((option) => !common.includes(option) && !takes.some((taken) => taken === option));
  if (wrong === undefined) return;
  throw new CommandError(
    {
      what: `skips ${name} takes no --${wrong}`,
      todo: `See what ${name} takes for ${shellWord(id)}: ${keystride} skips --help`,
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}
