import { parameterToText } from '../../../contract/parameters.ts';
import { count, duration } from '../../../operator/format.ts';
import { type DayOutcome, type DayRange, outcomesInRange } from '../../../operator/schedules/range.ts';
import { describeSchedule, type DescribedSchedule } from '../../../operator/schedules/read.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, runHref, scheduleHref } from '../../hrefs.ts';
import { dataTable, emptiness, pairs, panel, stateBadge } from '../../parts.ts';
import { view } from '../../view.ts';
import type { Visit } from '../../visit.ts';
import { nextTable, scheduleBadge, takenTable, zoned } from './tables.ts';

/** Times that are shown of a range of days. */
const mostTimes = 200;

interface ScheduleData extends DescribedSchedule {
  /** Null where no days were asked for. */
  readonly range: (DayRange & { readonly outcomes: readonly DayOutcome[]; readonly times: number }) | null;
}

/** A schedule: its times, what they came to, and what each day's run came to. */
export const schedulePage = view<ScheduleData>({
  path: '/schedules/:id',
  section: 'schedules',
  title: ({ scheduleId }) => `Schedule ${scheduleId}`,
  read: async (visit) => {
    const { session, param } = visit;
    const days = daysOf(visit);
    const [described, found] = await Promise.all([
      describeSchedule(session, param('id')),
      days && outcomesInRange(session, param('id'), days, mostTimes),
    ]);
    return { ...described, range: days && found ? { ...days, ...found } : null };
  },
  parts: (data, { readOnly }) => ({
    head: head(data, readOnly),
    next: data.next.length === 0 ? nothing : nextTable(data.next, data.timeZone),
    last:
      data.last.length === 0
        ? emptiness('It has taken no action yet.', 'The next ones are above; Trigger takes one now.')
        : takenTable(data.last, data.timeZone),
    daysForm: daysForm(data),
    days: data.range === null ? nothing : outcomes(data.range, data.timeZone),
  }),
});

const aDay = /^\d{4}-\d\d-\d\d$/u;

function daysOf({ query }: Pick<Visit, 'query'>): DayRange | undefined {
  const [from = '', to = from] = [query('from'), query('to')];
  const are = [from, to].every((day) => aDay.test(day) && !Number.isNaN(Date.parse(day)));
  return are ? { from, to } : undefined;
}

function head(data: ScheduleData, readOnly: boolean): Html {
  const { scheduleId, job, timeZone, cron, parameters, overlap, paused, missedCatchup, skippedOverlap } =
    data;
  const to = (name: string) => scheduleHref(scheduleId, name);
  return html`<section class="panel">
    <p class="state-line">${scheduleBadge(data)}</p>
    ${pairs([
      ['Job', html`<a href="${jobHref(job)}">${job}</a>`],
      ['Times', html`<span class="mono">${cron.join(', ') || 'as Temporal has them'}</span>`],
      ['Time zone', timeZone],
      ...Object.entries(parameters).map(
        ([name, value]) => [name, html`<span class="mono">${parameterToText(value)}</span>`] as const,
      ),
      ['When one runs still', overlap],
      ['Begun late at most', duration(data.catchupWindowSeconds * 1000)],
      ['Taken', count(data.taken)],
      ...(missedCatchup > 0 ? [['Missed', `${count(missedCatchup)}, too late`] as const] : []),
      ...(skippedOverlap > 0 ? [['Left out', `${count(skippedOverlap)}, one ran still`] as const] : []),
    ])}
    ${
      readOnly
        ? nothing
        : html`<p class="buttons">
            ${
              paused
                ? html`<a class="button" href="${to('unpause')}">Unpause</a>`
                : html`<a class="button" href="${to('pause')}">Pause</a>`
            }
            <a class="button plain" href="${to('trigger')}">Trigger now</a>
            <a class="button plain" href="${to('backfill')}">Backfill days</a>
          </p>`
    }
  </section>`;
}

function daysForm({ range, scheduleId, timeZone }: ScheduleData): Html {
  return panel(
    'What each day’s run came to',
    html`<form
      method="get"
      action="${scheduleHref(scheduleId)}"
      class="filters"
      role="search"
      aria-label="Days"
    >
      <p>
        <label for="from">From</label>
        <input id="from" name="from" type="date" value="${range?.from ?? ''}" required />
      </p>
      <p>
        <label for="to">to (${timeZone})</label>
        <input id="to" name="to" type="date" value="${range?.to ?? ''}" />
      </p>
      <p class="buttons"><button type="submit" class="plain">Show</button></p>
    </form>`,
  );
}

function outcomes({ outcomes: found, times }: NonNullable<ScheduleData['range']>, timeZone: string): Html {
  if (found.length === 0) return emptiness('It has no time in these days.', 'Its next ones are above.');
  return dataTable(
    html`Days
      <span class="soft"
        >${times > found.length ? `the first ${found.length} of ${count(times)} times` : ''}</span
      >`,
    [
      { head: 'When', names: true, cell: ({ at }) => zoned(at, timeZone) },
      {
        head: 'Came to',
        cell: ({ status }: DayOutcome) =>
          status === null ? html`<span class="soft">has not run</span>` : stateBadge(status),
      },
      {
        head: 'Instance',
        cell: ({ instance, workflowId }: DayOutcome) =>
          workflowId === null
            ? html`<span class="mono small">${instance ?? 'depends on the moment'}</span>`
            : html`<a class="mono small" href="${runHref(workflowId)}">${instance}</a>`,
      },
    ],
    found,
  );
}
