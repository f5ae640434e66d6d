import {
  decisionText,
  type JobProgress,
  type NestedRun,
  type StepProgress,
} from '../../contract/progress.ts';

const barWidth = 24;

/** Decisions of a step that are shown; the query has more. */
const decisionsShown = 3;

/** What the Temporal UI shows of a run, in Markdown: bar, counts, why it waits, and what can be done. */
export function detailsOf(progress: JobProgress): string {
  const lines = [`**${progress.status}**${progress.reason ? `: ${progress.reason}` : ''}`];
  for (const step of progress.steps) lines.push('', ...stepLines(step));
  const control = controls[progress.status];
  if (control) lines.push('', control);
  return lines.join('\n');
}

const controls: Partial<Record<JobProgress['status'], string>> = {
  running:
    'To hold it: `keystride pause ID`, or the update `pause`. To end it gracefully: `keystride stop ID`.',
  throttled:
    'It goes on by itself. To hold it all the same: `keystride pause ID`; to end it: `keystride stop ID`.',
  paused: 'To go on: `keystride resume ID`, or the update `resume`.',
};

function stepLines(step: StepProgress): string[] {
  const done = step.read + step.readSkipped;
  const counts = [
    `read ${count(step.read)}`,
    `written ${count(step.written)}`,
    `filtered ${count(step.filtered)}`,
    `skipped ${count(step.skipped)}`,
  ].join(' · ');
  const { total, done: partitionsDone, failed } = step.partitions;
  const partitions =
    total > 1 ? ` · partitions ${partitionsDone}/${total}${failed > 0 ? `, ${failed} failed` : ''}` : '';
  const nested = step.kind === 'job' ? (step.result as NestedRun | undefined) : undefined;
  const run = nested ? ` · run \`${nested.workflowId}\`` : '';
  const decided = (step.decisions ?? [])
    .slice(-decisionsShown)
    .map((decision) => `- ${decisionText(decision)}`);
  return [
    `**${step.step}** ${step.status}${bar(done, step.expected)}`,
    `${counts}${partitions}${run}`,
    ...(decided.length > 0 ? ['', ...decided] : []),
  ];
}

/** No percentage where the total is unknown, nor where there turned out to be more than expected. */
function bar(done: number, expected: number | null): string {
  if (expected === null || expected === 0) return '';
  if (done > expected) return ` (${count(done)}, expected ${count(expected)})`;
  const filled = Math.floor((done / expected) * barWidth);
  const percent = Math.floor((done / expected) * 100);
  return ` \`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}\` ${percent} % of ${count(expected)}`;
}

function count(value: number): string {
  return value.toLocaleString('en');
}
