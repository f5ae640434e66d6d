import { appendFileSync, closeSync, openSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';

/** The places of a chunk's way where `keystride prove` lets a worker die or freeze, in their order. */
export const faultPoints = [
  /** The content of a file is on its way, its entry is not written. */
  'withinFile',
  /** The files of a chunk are stored, no document names them. */
  'afterFiles',
  /** Outside writes are acknowledged, the chunk's transaction has not begun. */
  'afterPrepare',
  /** It is the chunk's turn to commit. */
  'beforeBegin',
  /** The checkpoint has moved, in a transaction that may not commit. */
  'afterCompareAndSet',
  /** The rows are written, the skips are not. */
  'afterWrites',
  /** All is written, COMMIT has not been sent. */
  'beforeCommit',
  /** COMMIT is answered, and nobody else knows it. */
  'afterCommit',
  /** A heartbeat is due. */
  'heartbeat',
] as const;

/** The name of one of {@link faultPoints}. */
export type FaultPoint = (typeof faultPoints)[number];

/** A fault that one of the workers with this schedule inflicts on itself, once. */
const workerFault = z.object({
  /** Names it among the faults of the schedule. */
  id: z.int().min(0),
  point: z.enum(faultPoints),
  /** How often the point is to be passed, by all workers together, before it happens: 1 is the first time. */
  hit: z.int().min(1),
  /** SIGKILL ends the worker; SIGSTOP freezes it until somebody sends SIGCONT. */
  signal: z.enum(['SIGKILL', 'SIGSTOP']),
});

const faultSchedule = z.object({
  /** Shared by the workers and whoever watches them: a byte a pass in `passes-POINT`, and a file `fault-ID` for each
   * fault that has happened, holding the id of the process it happened to. */
  directory: z.string().min(1),
  faults: z.array(workerFault),
});

/** What `KEYSTRIDE_FAULTS` holds, as JSON. */
export type FaultSchedule = z.infer<typeof faultSchedule>;

/** See {@link FaultSchedule}. */
export type WorkerFault = FaultSchedule['faults'][number];

/** The file that counts the passes of a point: one byte for each. */
export function passesFile(directory: string, point: FaultPoint): string {
  return path.join(directory, `passes-${point}`);
}

/** The file that says that a fault has happened: it holds the id of the process that it happened to. */
export function faultFile(directory: string, id: number): string {
  return path.join(directory, `fault-${id}`);
}

let armed: ((point: FaultPoint) => void) | undefined;

/** Marks a place where a crash must do no harm. It does nothing unless the process was armed. */
export function faultPoint(point: FaultPoint): void {
  armed?.(point);
}

/**
 * Lets the faults of a schedule happen to this process, for tests and `keystride prove`.
 *
 * Passes are counted in files and not in memory, so that a fault happens once however often its victim is started
 * again, and what is counted outlives a SIGKILL.
 *
 * @param schedule a {@link FaultSchedule} as JSON
 * @throws Error when it is none
 */
export function armFaultPoints(schedule: string): void {
  const { directory, faults } = faultSchedule.parse(JSON.parse(schedule));
  armed = (point) => {
    const file = passesFile(directory, point);
    appendFileSync(file, '.');
    const passes = statSync(file).size;
    const due = faults.filter((fault) => fault.point === point && fault.hit <= passes);
    for (const fault of due) if (isFirst(faultFile(directory, fault.id))) suffer(fault.signal);
  };
}

/** Of all processes that come here, one makes the file. */
function isFirst(file: string): boolean {
  try {
    const made = openSync(file, 'wx');
    writeSync(made, String(process.pid));
    closeSync(made);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function suffer(signal: WorkerFault['signal']): void {
  process.kill(process.pid, signal);
  // The signal may reach another thread first: go on only when it has taken hold, after SIGSTOP when it is over.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
}
