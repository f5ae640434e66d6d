import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const program = path.join(import.meta.dirname, '../../packages/keystride/src/cli/main.ts');

/** How a command ended. */
export interface CommandResult {
  exitCode: number | null;
  stdout: string;
  stderr: string;
  /** The last line of stdout as JSON. */
  json(): unknown;
}

/** A home that is not there, so that no stack of this machine is found. */
const emptyHome = path.join(import.meta.dirname, 'no-such-home');

/** What a command has of the caller's environment: where programs are, and where compiled code is kept. */
const inherited = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };

/** Runs `keystride` as a process of its own, with nothing else of the caller's environment. */
export async function keystride(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  return startKeystride(words, environment).ended;
}

/** The same, for commands that are sent a signal. */
export function startKeystride(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): { child: ChildProcess; ended: Promise<CommandResult> } {
  const child = spawn(process.execPath, [program, ...words], {
    env: { ...inherited, NO_COLOR: '1', KEYSTRIDE_HOME: emptyHome, ...environment },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const ended = once(child, 'close').then(([exitCode]: unknown[]) => ({
    exitCode: typeof exitCode === 'number' ? exitCode : null,
    stdout,
    stderr,
    json: (): unknown => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? ''),
  }));
  return { child, ended };
}
