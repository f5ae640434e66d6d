import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { PartError } from './part.ts';
import { endProcess, isAlive, isSystemError, type ProcessIdentity } from './processes.ts';

const identitySchema = z.object({ pid: z.int().positive(), started: z.string() });

const stateSchema = z.object({
  version: z.literal(2),
  status: z.enum(['starting', 'up']),
  supervisor: identitySchema,
  startedAt: z.string(),
  addresses: z
    .object({
      temporalAddress: z.string(),
      temporalNamespace: z.string(),
      temporalUiUrl: z.string(),
      consoleUrl: z.string(),
      codecServerUrl: z.string(),
      databaseUrl: z.string(),
      sourceDatabaseUrl: z.string(),
      mongodbUrl: z.string(),
      stubs: z.record(z.string(), z.string()),
    })
    .partial(),
  processes: z.array(z.object({ name: z.string(), identity: identitySchema, signal: z.string() })),
  control: z.object({ url: z.string(), token: z.string() }).optional(),
});

/** What `stack.json` says: who supervises, which processes are ours, where the parts answer. */
export type StackState = z.infer<typeof stateSchema>;

/** One process of a stack: a part, or `worker-<n>`; `signal` is what ends it in an orderly way. */
export type StackProcess = StackState['processes'][number];

/** The file that describes the stack of a home. It holds passwords: mode 0600. */
export function stateFile(home: string): string {
  return path.join(home, 'stack.json');
}

/**
 * The stack that a home describes, running or left over; undefined when there is none.
 * @throws PartError when the file is there and cannot be understood
 */
export function readState(home: string): StackState | undefined {
  let text: string;
  try {
    text = readFileSync(stateFile(home), 'utf8');
  } catch (error) {
    // Another user's stack is not ours to find.
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'EACCES') || isSystemError(error, 'ENOTDIR'))
      return undefined;
    throw error;
  }
  return parseState(text, stateFile(home));
}

function parseState(text: string, file: string): StackState {
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new PartError(
      {
        what: 'the description of the running stack cannot be read',
        where: file,
        todo: 'It may be of another version: end its processes by hand if there are any, then delete the file.',
      },
      { cause: error },
    );
  }
}

/** Whether the supervisor of this stack lives. */
export function isRunning(state: StackState): boolean {
  return isAlive(state.supervisor);
}

/** Replaces the description, so that a reader sees the old one or the new one and never a half. */
export function writeState(home: string, state: StackState): void {
  renameSync(writeBeside(home, state), stateFile(home));
}

/** Whether this home had no description and now has this one: of two that claim at once, one gets it. */
export function claimHome(home: string, state: StackState): boolean {
  mkdirSync(home, { recursive: true });
  const file = writeBeside(home, state);
  try {
    linkSync(file, stateFile(home));
    return true;
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false;
    throw error;
  } finally {
    rmSync(file, { force: true });
  }
}

/** Takes the description away, if it still is this supervisor's. */
export function removeState(home: string, supervisor: ProcessIdentity): void {
  const state = readState(home);
  if (state?.supervisor.pid === supervisor.pid && state.supervisor.started === supervisor.started)
    rmSync(stateFile(home), { force: true });
}

/** The processes of a stack that live, whoever supervises them. */
export function livingProcesses(state: StackState): StackProcess[] {
  return state.processes.filter(({ identity }) => isAlive(identity));
}

/**
 * Ends what a dead supervisor left behind, and forgets it.
 * @returns the names of the processes that still lived
 */
export async function cleanUpLeftovers(home: string, state: StackState): Promise<string[]> {
  const living = livingProcesses(state);
  await Promise.all(
    living.map(({ identity, signal }) => endProcess(identity, signal as NodeJS.Signals, 5_000)),
  );
  removeState(home, state.supervisor);
  return living.map(({ name }) => name);
}

function writeBeside(home: string, state: StackState): string {
  const file = path.join(home, `.stack.json.${process.pid}`);
  writeFileSync(file, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  return file;
}
