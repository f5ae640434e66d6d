import type { Command } from 'commander';
import { loadSettings } from '../dev/settings.ts';
import type { ListenAddress } from '../settings/server-variables.ts';
import { outputOption, type OutputOptions } from './options.ts';
import { printJson, printLine, progressLine } from './output.ts';
import { addressToListenOn, untilAskedToEnd } from './serving.ts';

const help = `
Whoever may ask it reads everything that is encrypted. It listens on 127.0.0.1:9234, where only this machine reaches it;
elsewhere it wants a token that everybody shows. Of pages in a browser it answers those of the Temporal UI alone. TLS is a
proxy's.

Environment:
  KEYSTRIDE_ENCRYPTION_KEYS       the keys, as the workers have them; or KEYSTRIDE_ENCRYPTION_KEYS_FILE
  KEYSTRIDE_CODEC_SERVER          where it listens (127.0.0.1:9234)
  KEYSTRIDE_CODEC_SERVER_URL      how others reach it, behind a proxy
  KEYSTRIDE_CODEC_SERVER_TOKEN    the token, at least 16 characters
  KEYSTRIDE_CODEC_SERVER_ORIGINS  the pages that may ask, with commas (that of TEMPORAL_UI_URL)
  TEMPORAL_NAMESPACE              whose payloads it reads (default)

Examples:
  $ keystride codec-server
  $ temporal workflow show -w pointSettlement:date=2025-10-01 --codec-endpoint http://127.0.0.1:9234`;

interface CodecServerOptions extends OutputOptions {
  listen?: ListenAddress;
}

/** `keystride codec-server`: decrypts for the Temporal UI and CLI, until Ctrl-C. */
export function codecServerCommand(command: Command): Command {
  return command
    .option('--listen <address>', 'where it listens, such as 127.0.0.1:9234', addressToListenOn)
    .addOption(outputOption())
    .addHelpText('after', help)
    .action(run);
}

async function run({ listen, output }: CodecServerOptions): Promise<void> {
  const { startCodecServer } = await import('../codec/server.ts');
  const config = loadSettings(process.env);
  const codecServer = { ...config.codecServer, ...(listen && { listen }) };
  const { url, stop } = await startCodecServer({ ...config, codecServer });
  if (output === 'json') printJson({ url });
  else {
    printLine(`KEYSTRIDE_CODEC_SERVER_URL=${url}`);
    progressLine('Ctrl-C ends it.');
  }
  await untilAskedToEnd();
  await stop();
}
