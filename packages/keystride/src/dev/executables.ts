import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/**
 * The first executable file of this name on PATH, or in one of the further directories.
 * A login shell may lack a directory that an installer has put in a profile, hence the latter.
 */
export function findExecutable(name: string, furtherDirectories: readonly string[] = []): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(path.delimiter).filter((directory) => directory !== '');
  return [...onPath, ...furtherDirectories].map((directory) => path.join(directory, name)).find(isExecutable);
}

/** Where Go's installers put the `go` command. */
export function goDirectories(): string[] {
  const root = process.env['GOROOT'];
  return [
    ...(root === undefined ? [] : [path.join(root, 'bin')]),
    '/usr/local/go/bin',
    '/usr/lib/go/bin',
    '/opt/homebrew/bin',
    path.join(homedir(), 'go', 'bin'),
  ];
}

/** The environment for `go`: its caches below ours when there is no home directory to put them in. */
export function goEnvironment(cache: string): NodeJS.ProcessEnv {
  if (process.env['HOME'] !== undefined) return process.env;
  return { GOPATH: path.join(cache, 'go'), GOCACHE: path.join(cache, 'go-build'), ...process.env };
}

/** How to run a program to its end. */
export interface RunOptions {
  timeoutMs: number;
  workingDirectory?: string;
  environment?: NodeJS.ProcessEnv;
  user?: { uid: number; gid: number };
}

/**
 * Runs a program to its end; resolves with its stdout.
 * @throws Error with the last line of its stderr when it fails or takes too long
 */
export function run(command: string, parameters: readonly string[], options: RunOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...parameters], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: options.environment ?? process.env,
      timeout: options.timeoutMs,
      killSignal: 'SIGKILL',
      ...(options.workingDirectory === undefined ? {} : { cwd: options.workingDirectory }),
      ...options.user,
    });
    let output = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else
        reject(
          new Error(`${path.basename(command)} ${endOf(code, signal, options.timeoutMs)}${lastLine(errors)}`),
        );
    });
  });
}

function endOf(code: number | null, signal: string | null, timeoutMs: number): string {
  if (signal === 'SIGKILL') return `took longer than ${timeoutMs / 1000} s`;
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
}

function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line === '' ? '' : `: ${line}`;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
