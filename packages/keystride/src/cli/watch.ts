import { setTimeout as delay } from 'node:timers/promises';
import { isGrpcServiceError, type Client } from '@temporalio/client';
import type { createLogUpdate } from 'log-update';
import { readExecution, type Execution } from '../operator/execution.ts';
import { shellWord } from '../contract/shell.ts';
import { CommandError, exitCodes, type ExitCode } from '../operator/command-error.ts';
import { harmless, printJson, progressLine } from './output.ts';
import { Observed } from '../operator/figures.ts';
import { renderLines, renderLogLine } from './render.ts';
import type { LiveProgress } from '../operator/heartbeats.ts';
import type { JobStatus } from '../contract/states.ts';
import { keystride } from '../operator/called-as.ts';

/** How often a terminal is redrawn, in milliseconds. */
const redrawEvery = 400;

/** How often a log gets a line, in milliseconds. */
const lineEvery = 3_000;

/** How long Temporal may be away before watching ends, in milliseconds. */
const patience = 60_000;

/** How to watch. */
export interface WatchOptions {
  /** Shown while waiting. @default stderr */
  readonly stream?: NodeJS.WriteStream;
  /** Ends the watching, not the run. */
  readonly signal?: AbortSignal;
}

/**
 * Shows a run until it is closed: one bar on a terminal, a line every few seconds elsewhere.
 * @returns the run as it ended; as it stood, when the signal ended the watching
 * @throws CommandError when there is no such run, or Temporal stays away for a minute
 */
export async function watch(
  client: Client,
  workflowId: string,
  options: WatchOptions = {},
): Promise<Execution> {
  const { stream = process.stderr, signal } = options;
  const display = stream.isTTY ? await TerminalDisplay.on(stream) : new LogDisplay(stream);
  const observed = new Observed();
  try {
    for (;;) {
      const execution = await patiently(() => readExecution(client, workflowId), display);
      observed.add(execution.progress, performance.now());
      display.show(execution, observed);
      if (execution.closed || signal?.aborted) return execution;
      await delay(stream.isTTY ? redrawEvery : redrawEvery * 2, undefined, signal && { signal }).catch(
        () => undefined,
      );
    }
  } finally {
    display.end();
  }
}

/** Watches until the run ends or Ctrl-C, and says how to look again. @returns undefined after Ctrl-C */
export async function watchOrDetach(
  client: Client,
  workflowId: string,
  output: 'text' | 'json',
): Promise<Execution | undefined> {
  const controller = new AbortController();
  const interrupt = (): void => controller.abort();
  process.once('SIGINT', interrupt);
  try {
    const execution = await watch(client, workflowId, { signal: controller.signal });
    if (execution.closed || !controller.signal.aborted) return execution;
    progressLine(`The run goes on. To look again: ${keystride} status ${shellWord(workflowId)} --watch`);
    if (output === 'json') printJson({ ...execution.progress, detached: true });
    process.exitCode = exitCodes.detached;
    return undefined;
  } finally {
    process.off('SIGINT', interrupt);
  }
}

/** What a command that has waited for a run ends with. */
export function exitCodeOf(status: JobStatus): ExitCode {
  if (status === 'completedWithSkips') return exitCodes.completedWithSkips;
  return status === 'failed' || status === 'stopped' ? exitCodes.failed : exitCodes.done;
}

interface Display {
  show(execution: Execution, observed: Observed): void;
  note(text: string): void;
  end(): void;
}

class TerminalDisplay implements Display {
  readonly #draw: ReturnType<typeof createLogUpdate>;

  private constructor(draw: ReturnType<typeof createLogUpdate>) {
    this.#draw = draw;
  }

  static async on(stream: NodeJS.WriteStream): Promise<TerminalDisplay> {
    const { createLogUpdate } = await import('log-update');
    return new TerminalDisplay(createLogUpdate(stream));
  }

  show({ progress }: Execution, observed: Observed): void {
    this.#draw(harmless(renderLines(progress, observed).join('\n')));
  }

  note(text: string): void {
    this.#draw(text);
  }

  end(): void {
    this.#draw.done();
  }
}

/** A line when the state or the running step changes, and every few seconds in between. */
class LogDisplay implements Display {
  readonly #stream: NodeJS.WriteStream;
  #last = Number.NEGATIVE_INFINITY;
  #shown = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show({ progress, closed }: Execution, observed: Observed): void {
    const now = performance.now();
    const phase = phaseOf(progress);
    // The states at the end say it once, whether Temporal has closed the run already or does so a moment later.
    if (phase === this.#shown && (closed || now - this.#last < lineEvery)) return;
    this.#last = now;
    this.#shown = phase;
    this.#stream.write(`${harmless(renderLogLine(progress, observed, new Date()))}\n`);
  }

  note(text: string): void {
    this.#stream.write(`${new Date().toISOString()} ${text}\n`);
  }

  end(): void {
    // Lines stay as they are.
  }
}

function phaseOf({ status, steps }: LiveProgress): string {
  return [status, ...steps.map(({ step, status: stepStatus }) => `${step} ${stepStatus}`)].join();
}

/** Tries again while Temporal is away for a moment. */
async function patiently<Result>(work: () => Promise<Result>, display: Display): Promise<Result> {
  const until = performance.now() + patience;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof CommandError || !isAway(error) || performance.now() > until) throw error;
      display.note('Temporal does not answer; trying again …');
      await delay(1_000);
    }
  }
}

function isAway(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if (isGrpcServiceError(at)) return at.code === 14 || at.code === 4;
  return false;
}
