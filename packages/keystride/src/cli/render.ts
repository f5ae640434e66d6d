import pc from 'picocolors';
import type { StepProgress } from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';
import { decisionLines } from './decisions.ts';
import { doneOf, type Observed, type RateWindow, remainingSeconds, shareDone } from '../operator/figures.ts';
import { count, duration, plain, rate } from '../operator/format.ts';
import type { LiveProgress } from '../operator/heartbeats.ts';

const barWidth = 28;

/** A run as lines for a terminal: its state, then a bar for each step. */
export function renderLines(progress: LiveProgress, observed: Observed): string[] {
  const { status, reason } = progress;
  const name = plain(progress.instance ?? progress.workflowId);
  const head = `${pc.bold(name)}  ${colouredStatus(status)}${reason ? `: ${plain(reason, 500)}` : ''}`;
  const width = Math.max(0, ...progress.steps.map(({ step }) => step.length));
  const lines = progress.steps.map((step) => {
    const share = shareDone(doneOf(step), step.expected);
    const bar = step.status === 'running' && share !== null ? `${barOf(share)} ` : '';
    return `  ${step.step.padEnd(width)}  ${bar}${stepFigures(step, status, observed).join(' · ')}`;
  });
  const waiting = (progress.live?.waiting ?? []).map((why) => `  waiting: ${plain(why)}`);
  const decided = decisionLines(progress, 1).map((line) => pc.dim(`  ${line}`));
  return [head, ...lines, ...waiting.map((line) => pc.yellow(line)), ...decided];
}

/** A run as one line for a log: what a terminal would show of the step that runs. */
export function renderLogLine(progress: LiveProgress, observed: Observed, now: Date): string {
  const step = progress.steps.findLast(({ status }) => status === 'running') ?? progress.steps.at(-1);
  const figures =
    step === undefined ? '' : ` ${step.step} ${stepFigures(step, progress.status, observed).join(', ')}`;
  const waiting = progress.live?.waiting[0];
  const why = waiting === undefined ? '' : `, waiting: ${plain(waiting)}`;
  const reason = progress.reason ? ` (${plain(progress.reason, 500)})` : '';
  const name = plain(progress.instance ?? progress.workflowId);
  return `${now.toISOString()} ${name} ${progress.status}${reason}${figures}${why}`;
}

function stepFigures(step: StepProgress, status: JobStatus, observed: Observed): string[] {
  const running = step.status === 'running';
  return [
    ...(running ? [] : [coloured(step.status, step.status)]),
    ...totals(step),
    ...(running ? pace(step, status, observed.rateOf(step.step)) : took(step)),
    ...outcome(step),
    ...partitions(step),
  ];
}

/** No percentage where the total is unknown, or turned out to be too small. */
function totals(step: StepProgress): string[] {
  const done = doneOf(step);
  const share = shareDone(done, step.expected);
  if (step.expected === null || step.kind === 'tasklet') return done > 0 ? [count(done)] : [];
  if (share === null) return [`${count(done)}, expected ${count(step.expected)}`];
  return [`${Math.floor(share * 100)} %`, `${count(done)} of ${count(step.expected)}`];
}

function pace(step: StepProgress, status: JobStatus, window: RateWindow): string[] {
  const perSecond = window.perSecond;
  const remaining = remainingSeconds({ done: doneOf(step), expected: step.expected, status, rate: window });
  return [
    ...(perSecond === null || doneOf(step) === 0 || status !== 'running' ? [] : [rate(perSecond)]),
    ...(remaining === null ? [] : [`ETA ${duration(remaining * 1000)}`]),
  ];
}

function took(step: StepProgress): string[] {
  const { startedAt, finishedAt } = step;
  if (startedAt === null || finishedAt === null) return [];
  return [duration(Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)))];
}

function outcome(step: StepProgress): string[] {
  return [
    ...(step.filtered > 0 ? [`${count(step.filtered)} filtered`] : []),
    ...(step.skipped > 0 ? [pc.yellow(`${count(step.skipped)} skipped`)] : []),
  ];
}

function partitions({ partitions: { total, done, failed }, status }: StepProgress): string[] {
  if (total <= 1 || status === 'completed') return [];
  return [`partitions ${done}/${total}${failed > 0 ? pc.red(`, ${failed} failed`) : ''}`];
}

function barOf(share: number): string {
  const filled = Math.floor(share * barWidth);
  return `${pc.cyan('█'.repeat(filled))}${pc.dim('░'.repeat(barWidth - filled))}`;
}

/** A state in its colour; the word says it too. */
export function colouredStatus(status: JobStatus): string {
  return coloured(status, status);
}

function coloured(text: string, status: JobStatus | StepProgress['status']): string {
  if (status === 'completed') return pc.green(text);
  if (status === 'failed') return pc.red(text);
  return status === 'running' || status === 'starting' ? pc.cyan(text) : pc.yellow(text);
}
