import { type Command, InvalidArgumentError } from 'commander';
import { longestOperator } from '../contract/audit.ts';
import { cutText, longestMessage } from '../contract/errors.ts';

/** The options of every command that changes something: who does it, and why. */
export interface AuthorOptions {
  reason?: string | undefined;
  operator?: string | undefined;
}

/** `--reason` and `--operator`, which are kept in the audit. */
export function withAuthor(command: Command, why = 'why; kept in the audit'): Command {
  return command
    .option('--reason <text>', why, textOf(longestMessage))
    .option('--operator <name>', 'who does it; otherwise the user of this machine', textOf(longestOperator));
}

function textOf(most: number): (text: string) => string {
  return (text) => {
    const given = text.trim();
    if (cutText(given, most) === given) return given;
    throw new InvalidArgumentError(`A text of at most ${most} bytes is wanted.`);
  };
}
