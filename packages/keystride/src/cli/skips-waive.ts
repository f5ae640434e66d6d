import type { Waiver } from '../ledger/waive.ts';
import { commandAuthor } from '../operator/author.ts';
import { CommandError, exitCodes } from '../operator/command-error.ts';
import { count, plain } from '../operator/format.ts';
import { type Waived, waiveSkips as waive } from '../operator/skips/waive.ts';
import { printJson, printLine } from './output.ts';
import type { SkipsOptions } from './skips-options.ts';

/** `keystride skips ID waive`: closes open skips without running them. Doing it again changes nothing. */
export async function waiveSkips(id: string, options: SkipsOptions): Promise<void> {
  const waived = await waive(id, options, waiverOf(options));
  if (options.output === 'json') return printJson(waived);
  show(waived);
}

function waiverOf(options: SkipsOptions): Waiver {
  const { by, reason } = commandAuthor(options);
  if (reason) return { by, reason };
  throw new CommandError(
    {
      what: 'skips waive wants a --reason',
      todo: 'Say why nothing is to be done: --reason "withdrawn by its author"',
    },
    { exitCode: exitCodes.usage, type: 'Usage' },
  );
}

function show({ instance, waived, alreadyWaived, reason, operator }: Waived): void {
  const before = alreadyWaived > 0 ? `; ${count(alreadyWaived)} were waived before` : '';
  printLine(`${instance}: ${count(waived)} waived by ${plain(operator)}: ${plain(reason)}${before}`);
}
