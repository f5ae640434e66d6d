import type { Command } from 'commander';
import pc from 'picocolors';
import { loadSettings } from '../dev/settings.ts';
import { examine } from '../doctor/examine.ts';
import type { Finding, Mark } from '../operator/finding.ts';
import { exitCodes } from '../operator/command-error.ts';
import { plain } from '../operator/format.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine } from './output.ts';
import { packageVersion } from './version.ts';

interface DoctorOptions extends OutputOptions {
  fix?: true;
}

const help = `
One line for each thing that was looked at: ok; warn, it works and will not always; bad, jobs cannot run, or not rightly.
Below it what to do. Exit code 1 where something is bad. Nothing is changed without --fix, and no row is read.

Examples:
  $ keystride doctor
  $ keystride doctor --fix
  $ keystride doctor -o json | jq '.findings[] | select(.mark != "ok")'`;

/** `keystride doctor`: whether everything that a run needs is there and as it should be. */
export function doctorCommand(command: Command): Command {
  return command
    .option('--fix', 'register the search attributes that are missing')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(doctor);
}

async function doctor({ fix, output }: DoctorOptions): Promise<void> {
  const findings = await examine({ config: loadSettings(), version: packageVersion(), fix: fix === true });
  if (findings.some(({ mark }) => mark === 'bad')) process.exitCode = exitCodes.failed;
  if (output === 'json') return printJson({ findings });
  const width = Math.max(...findings.map(({ check }) => check.length));
  for (const finding of findings) for (const line of linesOf(finding, width)) printLine(line);
  const of = (wanted: Mark) => findings.filter(({ mark }) => mark === wanted).length;
  printLine(`${of('bad')} bad, ${of('warn')} to look at, ${of('ok')} ok`);
}

const colours: Readonly<Record<Mark, (text: string) => string>> = {
  ok: pc.green,
  warn: pc.yellow,
  bad: pc.red,
};

function linesOf({ check, mark, what, todo }: Finding, width: number): string[] {
  const told = `${colours[mark](mark.padEnd(4))}  ${check.padEnd(width)}  ${plain(what, 1000)}`;
  return todo === undefined ? [told] : [told, `${' '.repeat(8 + width)}to do: ${plain(todo, 1000)}`];
}
