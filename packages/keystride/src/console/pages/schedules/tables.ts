import { jobStatuses, type JobStatus } from '../../../contract/states.ts';
import {
  type DescribedSchedule,
  localTime,
  type NextAction,
  type TakenAction,
} from '../../../operator/schedules/read.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, runHref, scheduleHref } from '../../hrefs.ts';
import { badge, dataTable, stateBadge, type Column } from '../../parts.ts';

/** Whether a schedule takes its actions. */
export function scheduleBadge({ paused, note }: Pick<DescribedSchedule, 'paused' | 'note'>): Html {
  return html`${paused ? badge('warn', '‖', 'paused') : badge('run', '▶', 'active')}
  ${paused && note !== null ? html`<span class="small soft">${note}</span>` : nothing}`;
}

/** A time on the clocks of a schedule. */
export function zoned(at: string, timeZone: string): Html {
  const [date = '', time = '', ...zone] = localTime(at, timeZone).split(' ');
  return html`<time datetime="${at}"><span class="nowrap">${date} ${time}</span> ${zone.join(' ')}</time>`;
}

/** What came of an action: a state of the job, or why none was started. */
export function outcomeBadge(outcome: string | null): Html {
  const status = jobStatuses.find((one): one is JobStatus => one === outcome);
  if (status !== undefined) return stateBadge(status);
  if (outcome === 'completeAlready') return badge('good', '✓', 'was complete');
  if (outcome === 'runningAlready') return badge('rest', '▶', 'ran already');
  return outcome === null ? html`<span class="soft">no longer known</span>` : html`${outcome}`;
}

/** A run by its instance; its page has all of them. */
export function instanceLink(instance: string | null): Html {
  if (instance === null) return html`<span class="soft">depends on the moment</span>`;
  return html`<a class="mono small" href="${runHref(instance)}">${instance}</a>`;
}

/** Schedules, with when they come next. */
export function schedulesTable(schedules: readonly DescribedSchedule[]): Html {
  return dataTable(
    'Schedules',
    [
      {
        head: 'Schedule',
        names: true,
        cell: ({ scheduleId }) => html`<a href="${scheduleHref(scheduleId)}">${scheduleId}</a>`,
      },
      { head: 'Job', cell: ({ job }) => html`<a href="${jobHref(job)}">${job}</a>` },
      { head: 'State', cell: scheduleBadge },
      {
        head: 'Times',
        cell: ({ cron }) =>
          html`<span class="mono small"
            >${cron.length === 0 ? 'as Temporal has them' : cron.join(', ')}</span
          >`,
      },
      {
        head: 'Next',
        cell: ({ next, timeZone, paused }) =>
          next[0] === undefined || paused
            ? html`<span class="soft">none</span>`
            : zoned(next[0].at, timeZone),
      },
      {
        head: 'Last',
        cell: ({ last }) =>
          last[0] === undefined ? html`<span class="soft">none</span>` : outcomeBadge(last[0].outcome),
      },
    ],
    schedules,
  );
}

/** Actions that are to come. */
export function nextTable(next: readonly NextAction[], timeZone: string): Html {
  return dataTable(
    'Next',
    [
      { head: 'When', names: true, cell: ({ at }) => zoned(at, timeZone) },
      {
        head: 'Instance',
        cell: ({ instance }: NextAction) =>
          instance === null
            ? html`<span class="soft">depends on the moment</span>`
            : html`<span class="mono small">${instance}</span>`,
      },
    ],
    next,
  );
}

/** Actions that were taken. */
export function takenTable(last: readonly TakenAction[], timeZone: string): Html {
  const columns: readonly Column<TakenAction>[] = [
    { head: 'Scheduled for', names: true, cell: ({ scheduledAt }) => zoned(scheduledAt, timeZone) },
    { head: 'Came to', cell: ({ outcome }) => outcomeBadge(outcome) },
    { head: 'Instance', cell: ({ instance }) => instanceLink(instance) },
    { head: 'Taken', cell: ({ takenAt }) => zoned(takenAt, timeZone) },
  ];
  return dataTable(html`Last <span class="soft">the newest first</span>`, columns, last);
}
