import { grouped } from '../contract/grouped.ts';
import { codeSpan, inMarkdown } from '../contract/inert.ts';
import {
  decisionText,
  type JobProgress,
  type NestedRun,
  type StepProgress,
  unreadText,
} from '../contract/progress.ts';
import { keystride, shellWord } from '../contract/shell.ts';

const barWidth = 24;

/** Decisions of a step that are shown; the query has more. */
const decisionsShown = 3;

/** What the Temporal UI shows of a run, in Markdown: bar, counts, why it waits, and what can be done. */
export function detailsOf(progress: JobProgress): string {
  const lines = [`**${progress.status}**${progress.reason ? `: ${inMarkdown(progress.reason)}` : ''}`];
  for (const step of progress.steps) lines.push('', ...stepLines(step));
  const control = controls[progress.status]?.((word) =>
    codeSpan(`${keystride} ${word} ${shellWord(progress.workflowId)}`),
  );
  if (control) lines.push('', control);
  return lines.join('\n');
}

/** What an operator can do, said with the command of each control. */
const controls: Partial<Record<JobProgress['status'], (command: (control: string) => string) => string>> = {
  running: (command) =>
    `To hold it: ${command('pause')}, or the update \`pause\`. To end it gracefully: ${command('stop')}`,
  throttled: (command) =>
    `It goes on by itself. To hold it all the same: ${command('pause')}; to end it: ${command('stop')}`,
  paused: (command) => `To go on: ${command('resume')}, or the update \`resume\``,
  holding: (command) => `To try it again: ${command('resume')}; to end it: ${command('stop')}`,
};

function stepLines(step: StepProgress): string[] {
  const done = step.read + step.readSkipped;
  const counts = [
    `read ${grouped(step.read)}`,
    `written ${grouped(step.written)}`,
    `filtered ${grouped(step.filtered)}`,
    `skipped ${grouped(step.skipped)}`,
  ].join(' · ');
  const { total, done: partitionsDone, failed } = step.partitions;
  const partitions =
    total > 1 ? ` · partitions ${partitionsDone}/${total}${failed > 0 ? `, ${failed} failed` : ''}` : '';
  const nested = step.kind === 'job' ? (step.result as NestedRun | undefined) : undefined;
  const run = nested ? ` · run ${codeSpan(nested.workflowId)}` : '';
  const decided = (step.decisions ?? [])
    .slice(-decisionsShown)
    .map((decision) => `- ${inMarkdown(`${decision.at.slice(0, 19)}Z ${decisionText(decision)}`)}`);
  const unread = unreadText(step);
  return [
    `**${inMarkdown(step.step)}** ${step.status}${bar(done, step.expected)}`,
    `${counts}${partitions}${run}`,
    ...(unread === undefined ? [] : ['', inMarkdown(unread)]),
    ...(decided.length > 0 ? ['', ...decided] : []),
  ];
}

/** No percentage where the total is unknown, nor where there turned out to be more than expected. */
function bar(done: number, expected: number | null): string {
  if (expected === null || expected === 0) return '';
  if (done > expected) return ` (${grouped(done)}, expected ${grouped(expected)})`;
  const filled = Math.floor((done / expected) * barWidth);
  const percent = Math.floor((done / expected) * 100);
  return ` \`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}\` ${percent} % of ${grouped(expected)}`;
}
