import type { Command } from 'commander';
import { loadSettings } from '../dev/settings.ts';
import type { ListenAddress } from '../settings/server-variables.ts';
import { exitCodes } from '../operator/command-error.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { addressToListenOn, untilAskedToEnd } from './serving.ts';

const help = `
It listens on 127.0.0.1:9233, where only this machine reaches it. Elsewhere it wants to know who comes: a token that
everybody shows, or a proxy that names the operator in a header.

Environment:
  KEYSTRIDE_CONSOLE                  where it listens (127.0.0.1:9233)
  KEYSTRIDE_CONSOLE_URL              how browsers reach it, behind a proxy
  KEYSTRIDE_CONSOLE_TOKEN            the token, at least 16 characters
  KEYSTRIDE_CONSOLE_OPERATOR_HEADER  the header in which a proxy names the operator
  KEYSTRIDE_CONSOLE_PROXIES          the addresses of those proxies, with commas
  KEYSTRIDE_CONSOLE_READ_ONLY        true: nothing can be changed

Examples:
  $ keystride console
  $ keystride console --listen 127.0.0.1:0 -o json       a free port; prints the address
  $ keystride console --read-only`;

interface ConsoleOptions extends OutputOptions {
  listen?: ListenAddress;
  readOnly?: true;
}

/** `keystride console`: the pages for operators, until Ctrl-C. */
export function consoleCommand(command: Command): Command {
  return command
    .option('--listen <address>', 'where it listens, such as 127.0.0.1:9233', addressToListenOn)
    .option('--read-only', 'nothing can be changed there')
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(run);
}

async function run({ listen, readOnly, output }: ConsoleOptions): Promise<void> {
  const { startConsole } = await import('../console/server.ts');
  const config = loadSettings(process.env, ['temporal']);
  const settings = {
    ...config.console,
    ...(listen && { listen }),
    ...(readOnly && { readOnly }),
  };
  const console = await startConsole({ ...config, console: settings });
  if (output === 'json') printJson({ url: console.url });
  else printLine(`KEYSTRIDE_CONSOLE_URL=${console.url}`);
  if (output === 'text') progressLine('Ctrl-C ends it.');
  await untilAskedToEnd();
  await console.stop();
  // A call to a Temporal that is away may wait for its next try, which a closed connection would throw at.
  process.exit(exitCodes.done);
}
