import { parameterToText } from '../../../contract/parameters.ts';
import { redrive } from '../../../contract/redrive.ts';
import { isFinal, type JobStatus } from '../../../contract/states.ts';
import { followsLog } from '../../../contract/sync.ts';
import { doneOf, shareDone } from '../../../operator/figures.ts';
import { count, duration, rate, tookOf } from '../../../operator/format.ts';
import type { LiveProgress } from '../../../operator/heartbeats.ts';
import { followedText } from '../../../operator/syncs/lag.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, queryOf, runHref, skipsHref } from '../../hrefs.ts';
import { bar, facts, moment, stateBadge, toneOf } from '../../parts.ts';
import { fieldOf } from '../jobs/parameter-fields.ts';
import type { RunData } from './data.ts';

/** Where a run stands, at a glance: state and why, bar, rate, what remains. */
export function headPanel(data: RunData, readOnly: boolean): Html {
  const { progress, perSecond, remainingSeconds, uiUrl, stream } = data;
  const { status, reason, startedAt, finishedAt, live } = progress;
  const step = progress.steps.findLast((one) => one.status === 'running') ?? progress.steps.at(-1);
  const done = step ? doneOf(step) : 0;
  const share = step ? shareDone(done, step.expected) : null;
  const skipped = progress.steps.reduce((sum, one) => sum + one.skipped, 0);
  return html`<section class="panel" aria-label="State">
    <p class="state-line">
      ${stateBadge(status)}
      <span>job <a href="${jobHref(progress.job)}">${progress.job}</a></span>
      ${
        progress.instance === null || progress.instance === progress.workflowId
          ? nothing
          : html`<span>instance <span class="mono">${progress.instance}</span></span>`
      }
      ${uiUrl === null ? nothing : html`<a href="${uiUrl}">In the Temporal UI</a>`}
    </p>
    ${reason === null ? nothing : html`<p class="notice ${noticeKind(status)}">${reason}</p>`}
    ${stream === undefined ? nothing : html`<p class="notice notice-soft"><strong>Stream:</strong> ${followedText(stream)}</p>`}
    ${(live?.waiting ?? []).map((why) => html`<p class="notice"><strong>Waits:</strong> ${why}</p>`)}
    ${
      step && !isFinal(status)
        ? html`<div class="progress-line">
            ${bar(share, toneOf(status), `Progress of ${step.step}`, true)}
            <p class="bar-text">
              <span><strong>${step.step}</strong> ${doneText(done, step.expected)}</span>
              <span>${share === null ? nothing : `${Math.floor(share * 100)} %`}</span>
            </p>
          </div>`
        : nothing
    }
    ${facts([
      ['Rows a second', isFinal(status) ? null : perSecond === null ? '–' : rate(perSecond)],
      [
        'Remaining',
        isFinal(status) ? null : remainingSeconds === null ? '–' : duration(remainingSeconds * 1000),
      ],
      ['Skipped', skippedCell(skipped, progress.instance)],
      ['In flight', live === null || isFinal(status) ? null : count(live.inFlight)],
      [finishedAt === null ? 'For' : 'Took', duration(tookOf(progress))],
    ])}
    <p class="soft small times">
      Started ${moment(startedAt)}${finishedAt === null ? nothing : html`, ended ${moment(finishedAt)}`}
    </p>
    ${readOnly ? nothing : controlLinks(progress)}
  </section>`;
}

function skippedCell(skipped: number, instance: string | null): Html | string {
  return skipped === 0 || instance === null
    ? count(skipped)
    : html`<a href="${skipsHref(instance)}">${count(skipped)}</a>`;
}

function doneText(done: number, expected: number | null): string {
  if (expected === null) return `${count(done)} rows`;
  return done > expected
    ? `${count(done)} rows, expected ${count(expected)}`
    : `${count(done)} of ${count(expected)} rows`;
}

function noticeKind(status: JobStatus): string {
  return status === 'failed' || status === 'holding' ? 'problem' : 'notice';
}

const verifyLink = [['verify', 'Verify …', 'plain']] as const;

/** What can be asked of a run in each state: the same as the commands. */
const controlsOf: Readonly<Partial<Record<JobStatus, readonly (readonly [string, string, string])[]>>> = {
  starting: [['stop', 'Stop …', 'danger']],
  running: [
    ['pause', 'Pause …', ''],
    ['tune', 'Tune …', 'plain'],
    ['stop', 'Stop …', 'danger'],
  ],
  throttled: [
    ['pause', 'Pause …', ''],
    ['tune', 'Tune …', 'plain'],
    ['stop', 'Stop …', 'danger'],
  ],
  pausing: [
    ['resume', 'Resume …', ''],
    ['stop', 'Stop …', 'danger'],
  ],
  paused: [
    ['resume', 'Resume …', ''],
    ['tune', 'Tune …', 'plain'],
    ['stop', 'Stop …', 'danger'],
  ],
  holding: [
    ['resume', 'Try again …', ''],
    ['skip', 'Skip the items …', 'plain'],
    ['tune', 'Tune …', 'plain'],
    ['stop', 'Stop …', 'danger'],
  ],
  completed: verifyLink,
  completedWithSkips: verifyLink,
};

function controlLinks(progress: LiveProgress): Html {
  const { workflowId, status, parameters } = progress;
  // A stream is compared while it runs.
  const isStream = followsLog(parameters) && (status === 'running' || status === 'paused');
  const links = [...(controlsOf[status] ?? []), ...(isStream ? verifyLink : [])];
  const again = status === 'failed' || status === 'stopped' ? startAgainHref(progress) : undefined;
  if (links.length === 0 && again === undefined) return nothing;
  return html`<p class="buttons">
    ${again === undefined ? nothing : html`<a class="button" href="${again}">Start again …</a>`}
    ${links.map(
      ([control, words, look]) =>
        html`<a class="button ${look}" href="${runHref(workflowId, control)}">${words}</a>`,
    )}
  </p>`;
}

/** The form of a start with the parameters of a run, which goes on where that stands. A redrive is begun at its skips. */
function startAgainHref({ job, parameters }: LiveProgress): string | undefined {
  if (parameters === null || job === redrive.name) return undefined;
  const given = Object.entries(parameters).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[fieldOf(name), parameterToText(value)] as const],
  );
  return jobHref(job, 'start') + queryOf(Object.fromEntries(given));
}
