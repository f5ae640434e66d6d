import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** The kernel's clock ticks of a second, as Linux has them on every machine that Node runs on. */
const ticksPerSecond = 100;

/** Begins a new high-water mark of a process's resident memory. Does nothing where there is no /proc. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // No /proc, or not ours to write to: then the mark is that of the whole life of the process.
  }
}

/** The most memory that a process has had resident, in MB (2^20 bytes); null where there is no /proc. */
export function peakMb(pid: number): number | null {
  return megabytes(pid, /^VmHWM:\s+(\d+) kB/m);
}

/** The memory that a process has resident, in MB (2^20 bytes); null where there is no /proc. */
export function residentMb(pid: number): number | null {
  return megabytes(pid, /^VmRSS:\s+(\d+) kB/m);
}

function megabytes(pid: number, line: RegExp): number | null {
  try {
    const [, kilobytes] = line.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return kilobytes === undefined ? null : Math.round(Number(kilobytes) / 1024);
  } catch {
    return null;
  }
}

/**
 * Processor time of a process and of its children, those that have ended included, in seconds; null where there is no
 * /proc. PostgreSQL is such a family: each connection is a process.
 */
export function cpuSecondsOf(pid: number): number | null {
  const own = statOf(pid);
  if (own === undefined) return null;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat !== undefined && stat.parent === pid);
  const ticks = children.reduce((sum, child) => sum + (child?.ticks ?? 0), own.ticks + own.ticksOfEnded);
  return ticks / ticksPerSecond;
}

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  /** Of the children that have ended and been waited for. */
  readonly ticksOfEnded: number;
}

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the command in parentheses and may hold anything, so count from the last parenthesis.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [parent = 0, user = 0, system = 0, endedUser = 0, endedSystem = 0] = [1, 11, 12, 13, 14].map(
    (place) => fields[place],
  );
  return { parent, ticks: user + system, ticksOfEnded: endedUser + endedSystem };
}
