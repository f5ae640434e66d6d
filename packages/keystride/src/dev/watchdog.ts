import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { GuardMessage } from './guard.ts';
import { endProcess, type ProcessIdentity } from './processes.ts';

/** The other end of the pipe that `guard.ts` describes; run as a program of its own. */
const graceMs = 5_000;
const watched = new Map<string, { identity: ProcessIdentity; signal: NodeJS.Signals }>();
const directories: string[] = [];

// The signals of a terminal are for our owner; we end when it has ended.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});

for await (const line of createInterface({ input: process.stdin })) {
  const message = JSON.parse(line) as GuardMessage;
  if ('watch' in message)
    watched.set(keyOf(message.watch), { identity: message.watch, signal: message.signal });
  else if ('release' in message) watched.delete(keyOf(message.release));
  else directories.push(message.removeAtTheEnd);
}
await Promise.all([...watched.values()].map(({ identity, signal }) => endProcess(identity, signal, graceMs)));
for (const directory of directories) rmSync(directory, { recursive: true, force: true });

function keyOf(identity: ProcessIdentity): string {
  return `${identity.pid} ${identity.started}`;
}
