import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** More connections may wait to be accepted than a client of hundreds of calls at once opens. */
const BACKLOG = 2048;

/** A stub as a program. */
export interface StubProgram<Options extends { host: string; port: number }> {
  /** In messages: `legacy-api`. */
  readonly name: string;
  /** What it stands for: `the legacy API`. */
  readonly standsFor: string;
  readonly help: string;
  /** Reads the command line; undefined when help was asked for. */
  parse(args: readonly string[]): Options | undefined;
  create(options: Options): Server | Promise<Server>;
}

/** Runs a stub until a signal ends it; its first line of output says where it listens. */
export async function runStub<Options extends { host: string; port: number }>(
  program: StubProgram<Options>,
): Promise<void> {
  try {
    const options = program.parse(process.argv.slice(2));
    if (options === undefined) process.stdout.write(program.help);
    else await serve(program, options);
  } catch (error) {
    process.stderr.write(`${program.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function serve<Options extends { host: string; port: number }>(
  { name, standsFor, create }: StubProgram<Options>,
  options: Options,
): Promise<void> {
  const server = await create(options);
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
  process.stderr.write(`${name}: a stub of ${standsFor} is listening; it is a test tool\n`);
}
