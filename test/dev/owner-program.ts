import { spawn } from 'node:child_process';
import { Ownership } from '../../packages/keystride/src/dev/ownership.ts';
import { identityOf } from '../../packages/keystride/src/dev/processes.ts';

/** Run as a program: owns a process that would live for a minute, and says which. */
const ownership = await Ownership.take(
  process.argv[2] ?? '',
  () => {},
  () => {},
);
const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
const identity = identityOf(child.pid ?? 0);
if (identity === undefined) throw new Error('no process');
ownership.started('sleeper', identity, 'SIGTERM');
console.log(JSON.stringify(identity));
