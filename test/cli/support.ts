import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { runCommand } from '../../packages/keystride/src/cli/run-command.ts';

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

const environmentOf = (environment: NodeJS.ProcessEnv) => ({
  ...inherited,
  NO_COLOR: '1',
  KEYSTRIDE_HOME: emptyHome,
  ...environment,
});

/** Commands of this process have its environment and output to themselves: one at a time. */
let before: Promise<unknown> = Promise.resolve();

/**
 * Obeys a command line of `keystride` in this process, with nothing else of the caller's environment. As a process it would
 * take half a second of processor time to load, which the tests do some hundred times.
 */
export function keystride(
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  const result = before.then(() => inThisProcess(words, environmentOf(environment)));
  before = result.catch(() => undefined);
  return result;
}

async function inThisProcess(
  words: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<CommandResult> {
  const { env } = process;
  const written = { stdout: '', stderr: '' };
  const ends = (['stdout', 'stderr'] as const).map((name) => {
    const stream = process[name];
    const { write } = stream;
    stream.write = (text: string | Uint8Array) => {
      written[name] += typeof text === 'string' ? text : Buffer.from(text).toString();
      return true;
    };
    return () => (stream.write = write);
  });
  process.env = environment;
  try {
    await runCommand(words);
    return { exitCode: Number(process.exitCode ?? 0), ...written, json: () => lastLine(written.stdout) };
  } finally {
    process.exitCode = undefined;
    process.env = env;
    for (const end of ends) end();
  }
}

function lastLine(stdout: string): unknown {
  return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
}

/** Runs `keystride` as a process of its own, for what is about the process: what it loads, and what it leaves open. */
export function keystrideProcess(
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
    env: environmentOf(environment),
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
    json: () => lastLine(stdout),
  }));
  return { child, ended };
}
