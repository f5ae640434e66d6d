import { backfillSchedule } from '../../../operator/schedules/backfill.ts';
import { pauseSchedule, triggerSchedule } from '../../../operator/schedules/control.ts';
import { describeSchedule, type DescribedSchedule } from '../../../operator/schedules/read.ts';
import { ToldError } from '../../../contract/told-error.ts';
import { action, type Fields } from '../../action.ts';
import { html, type Html } from '../../html.ts';
import { queryOf, scheduleHref } from '../../hrefs.ts';
import { pairs } from '../../parts.ts';
import { reasonField, signed } from '../../signed.ts';
import type { Visit } from '../../visit.ts';
import { scheduleBadge, zoned } from './tables.ts';

const readSchedule = ({ session, param }: Visit): Promise<DescribedSchedule> =>
  describeSchedule(session, param('id'), 0);

const back = ({ param }: Visit): string => scheduleHref(param('id'));

function which(schedule: DescribedSchedule): Html {
  const [next] = schedule.next;
  return pairs([
    ['Schedule', schedule.scheduleId],
    ['Job', schedule.job],
    ['State', scheduleBadge(schedule)],
    ['Next', next === undefined ? 'none' : zoned(next.at, schedule.timeZone)],
  ]);
}

function pausing(control: 'pause' | 'unpause', does: string, example: string) {
  const verb = control === 'pause' ? 'Pause' : 'Unpause';
  return action<DescribedSchedule>({
    path: `/schedules/:id/${control}`,
    section: 'schedules',
    title: ({ scheduleId }) => `${verb}: ${scheduleId}`,
    read: readSchedule,
    form: (schedule, given) =>
      html`${which(schedule)}
        <p>${does}</p>
        ${reasonField(given, false, example)}`,
    button: () => verb,
    back,
    act: async (fields, visit) => {
      const scheduleId = visit.param('id');
      const note = await pauseSchedule(visit.session, scheduleId, control, signed(fields, visit));
      return { to: scheduleHref(scheduleId), result: { scheduleId, paused: control === 'pause', note } };
    },
  });
}

const triggerAction = action<DescribedSchedule>({
  path: '/schedules/:id/trigger',
  section: 'schedules',
  title: ({ scheduleId }) => `Trigger: ${scheduleId}`,
  read: readSchedule,
  form: (schedule, given) =>
    html`${which(schedule)}
      <p>
        One action is taken now, whatever its times and its state: its dates are those of today, in
        ${schedule.timeZone}. An instance that has completed is not run again.
      </p>
      ${reasonField(given, false, 'the night’s run was missed')}`,
  button: () => 'Trigger now',
  back,
  act: async (fields, visit) => {
    const scheduleId = visit.param('id');
    const taken = await triggerSchedule(visit.session, scheduleId, signed(fields, visit));
    return { to: scheduleHref(scheduleId), result: { scheduleId, action: taken ?? null } };
  },
});

const backfillAction = action<DescribedSchedule>({
  path: '/schedules/:id/backfill',
  section: 'schedules',
  title: ({ scheduleId }) => `Backfill: ${scheduleId}`,
  read: readSchedule,
  form: (schedule, given) =>
    html`${which(schedule)}
      <p>
        The actions of days that have passed, both included, in ${schedule.timeZone}. What has completed is
        not run again, so a backfill may be repeated.
      </p>
      ${dayField('from', 'From', given)} ${dayField('to', 'To', given)}
      <p>
        <label class="check">
          <input type="checkbox" name="parallel" value="true" ${given.one('parallel') ? html`checked` : ''} />
          <span>All at once, instead of one after another</span>
        </label>
      </p>
      ${reasonField(given, false, 'the source was away in these days')}`,
  button: () => 'Backfill',
  back,
  act: async (fields, visit) => {
    const scheduleId = visit.param('id');
    const range = { from: sentDay(fields, 'from'), to: sentDay(fields, 'to') };
    const parallel = fields.one('parallel') === 'true' ? true : undefined;
    const backfilled = await backfillSchedule(
      visit.session,
      scheduleId,
      { ...range, parallel },
      signed(fields, visit),
    );
    return { to: `${scheduleHref(scheduleId)}${queryOf(range)}`, result: backfilled };
  },
});

function dayField(name: string, label: string, given: Fields): Html {
  return html`<p>
    <label for="${name}">${label}</label>
    <input id="${name}" name="${name}" type="date" value="${given.one(name) ?? ''}" required />
  </p>`;
}

function sentDay(fields: Fields, name: string): string {
  const day = fields.one(name) ?? '';
  if (/^\d{4}-\d\d-\d\d$/u.test(day) && !Number.isNaN(Date.parse(day))) return day;
  throw new ToldError(`Give the day of "${name}" as 2027-01-31.`);
}

/** What can be done with a schedule. */
export const scheduleActions = [
  pausing(
    'pause',
    'It takes no more actions until it is unpaused. What runs goes on.',
    'books are being closed',
  ),
  pausing(
    'unpause',
    'It takes its actions again. Those that fell due meanwhile are not made up for; a backfill does that.',
    'books are closed',
  ),
  triggerAction,
  backfillAction,
];
