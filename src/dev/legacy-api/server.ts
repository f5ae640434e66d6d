import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createLegacyApi } from './application.ts';
import { directoryBodies, generatedBodies } from './bodies.ts';
import { HELP, parseOptions, type Options } from './options.ts';

/** More connections may wait to be accepted than a client of hundreds of calls at once opens. */
const BACKLOG = 2048;

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(HELP);
  else await serve(options);
} catch (error) {
  process.stderr.write(`legacy-api: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function serve(options: Options): Promise<void> {
  const bodies =
    options.from === undefined
      ? generatedBodies(options.seed, options.sizes)
      : await directoryBodies(options.from);
  const server = createLegacyApi(options.seed, bodies, options.behaviour);
  server.listen({ host: options.host, port: options.port, backlog: BACKLOG });
  await once(server, 'listening');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      // Calls that still wait for their latency would keep the process for as long.
      server.close(() => process.exit(0));
      server.closeAllConnections();
    });
  }
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ url: `http://${options.host}:${port}` })}\n`);
  process.stderr.write('legacy-api: a stub of the legacy API is listening; it is a test tool\n');
}
