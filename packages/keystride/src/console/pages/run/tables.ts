import {
  decisionText,
  retriesText,
  unreadText,
  type Decision,
  type NestedRun,
  type StepProgress,
} from '../../../contract/progress.ts';
import { parameterToText } from '../../../contract/parameters.ts';
import { duration } from '../../../operator/format.ts';
import type { InstanceRun } from '../../../operator/instance-runs.ts';
import type { AskedVerification } from '../../../operator/verify.ts';
import { html, nothing, type Html } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { badge, dataTable, figure, moment, pairs, panel, stateBadge, type Column } from '../../parts.ts';
import type { RunData } from './data.ts';

/** The steps with their counters, as Spring Batch tells them. */
export function stepsTable({ progress, strips }: RunData): Html {
  const commits = new Map(strips.map(({ step, counts }) => [step, counts.commits]));
  const number = (head: string, cell: (step: StepProgress) => number): Column<StepProgress> => ({
    head,
    number: true,
    cell: (step) => figure(cell(step)),
  });
  return dataTable(
    'Steps',
    [
      { head: 'Step', names: true, cell: stepCell },
      // A step that goes on stands as its run does.
      {
        head: 'State',
        cell: ({ status }) => stateBadge(status === 'running' ? progress.status : status),
      },
      number('Read', ({ read }) => read),
      number('Filtered', ({ filtered }) => filtered),
      number('Written', ({ written }) => written),
      number('Skipped', ({ skipped }) => skipped),
      number('Skipped reading', ({ readSkipped }) => readSkipped),
      { head: 'Retried', number: true, cell: retriesCell },
      { head: 'Expected', number: true, cell: ({ expected }) => figure(expected) },
      { head: 'Commits', number: true, cell: ({ step }) => figure(commits.get(step) ?? null) },
      { head: 'Took', number: true, cell: tookCell },
    ],
    progress.steps,
  );
}

function stepCell(step: StepProgress): Html {
  const nested = step.kind === 'job' ? (step.result as NestedRun | undefined) : undefined;
  const unread = unreadText(step);
  return html`${step.step}
    <span class="soft small">${step.kind}</span>
    ${nested ? html`<br /><a class="mono" href="${runHref(nested.workflowId)}">${nested.workflowId}</a>` : nothing}
    ${step.reason === undefined ? nothing : html`<br /><span class="small problem-text">${step.reason}</span>`}
    ${unread === undefined ? nothing : html`<br /><span class="small">${unread}</span>`}`;
}

/** How often something was tried again, and of which codes. */
function retriesCell({ retries = {} }: StepProgress): Html | string {
  const total = Object.values(retries).reduce((sum, times) => sum + times, 0);
  if (total === 0) return '0';
  const codes = retriesText(retries);
  return html`${figure(total)}<br /><span class="small soft">${codes}</span>`;
}

function tookCell({ startedAt, finishedAt }: StepProgress): string {
  if (startedAt === null || finishedAt === null) return '–';
  return duration(Math.max(0, Date.parse(finishedAt) - Date.parse(startedAt)));
}

/** What the run has decided by itself, the last first. */
export function decisionsPanel({ progress }: RunData): Html {
  const decisions = progress.steps
    .flatMap(({ step, decisions: made = [] }) => made.map((decision) => ({ step, decision })))
    .toSorted((a, b) => b.decision.at.localeCompare(a.decision.at));
  if (decisions.length === 0) return nothing;
  return panel(
    'What it has decided by itself',
    html`<ul class="plain-list small">
      ${decisions.map(({ step, decision }) => decisionItem(step, decision))}
    </ul>`,
  );
}

function decisionItem(step: string, decision: Decision): Html {
  return html`<li><strong>${step}</strong> ${moment(decision.at)} ${decisionText(decision)}</li>`;
}

/** The parameters, and what operators have tuned. */
export function parametersPanel({ progress: { parameters, tuning } }: RunData): Html {
  const given = Object.entries(parameters ?? {});
  const tuned = Object.entries(tuning ?? {});
  return panel(
    'Parameters',
    html`${
      given.length === 0
        ? html`<p class="soft">${parameters === null ? 'Nobody has told them yet.' : 'It has none.'}</p>`
        : pairs(
            given.map(([name, value]) => [name, html`<span class="mono">${parameterToText(value)}</span>`]),
          )
    }
    ${
      tuned.length === 0
        ? nothing
        : html`<h2 class="below">Tuned</h2>
            ${pairs(tuned.map(([name, value]) => [name, figure(Number(value))]))}`
    }`,
  );
}

/** The executions of the instance, with what each has added. */
export function executionsTable({ executions }: RunData): Html {
  if (executions.length === 0) return nothing;
  return dataTable(
    html`Executions <span class="soft">of this workflow id, the last first; what each has added</span>`,
    [
      { head: 'Started', cell: ({ startedAt }: InstanceRun) => moment(startedAt) },
      { head: 'State', cell: ({ status }) => stateBadge(status) },
      { head: 'Ended', cell: ({ finishedAt }) => (finishedAt === null ? '–' : moment(finishedAt)) },
      { head: 'Read', number: true, cell: ({ added }) => figure(added?.read ?? null) },
      { head: 'Written', number: true, cell: ({ added }) => figure(added?.written ?? null) },
      { head: 'Skipped', number: true, cell: ({ added }) => figure(added?.skipped ?? null) },
      { head: 'Run', cell: ({ runId }) => html`<span class="mono small">${runId}</span>` },
    ],
    executions,
  );
}

/** What comparisons have found that were asked for. */
export function verificationsTable({ verifications }: RunData): Html {
  if (verifications.length === 0) return nothing;
  const report = (head: string, cell: (report: NonNullable<AskedVerification['report']>) => number) => ({
    head,
    number: true,
    cell: (one: AskedVerification) => figure(one.report && cell(one.report)),
  });
  return dataTable(
    html`Verifications <span class="soft">that were asked for, the last first</span>`,
    [
      { head: 'Started', cell: ({ startedAt }) => moment(startedAt) },
      { head: 'Result', cell: verdict },
      report('Compared', ({ compared }) => compared),
      report('Differences', ({ differences }) => differences),
      report('Repaired', ({ repaired }) => repaired),
      {
        head: 'The first ones',
        cell: ({ report: found }) =>
          html`${(found?.examples ?? []).slice(0, 3).map((example) => html`<span class="small">${example}</span><br />`)}`,
      },
    ],
    verifications,
  );
}

function verdict({ report, ended }: AskedVerification): Html {
  if (report) return report.verified ? badge('good', '✓', 'agree') : badge('bad', '✕', 'differ');
  return ended === null ? badge('run', '▶', 'compares') : badge('bad', '✕', ended);
}
