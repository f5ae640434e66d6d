import type { JobDefinition } from '../../../contract/job.ts';
import { ToldError } from '../../../contract/told-error.ts';
import { createSchedule, overlapPolicies, type OverlapName } from '../../../operator/schedules/create.ts';
import { action, type Fields } from '../../action.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, scheduleHref } from '../../hrefs.ts';
import { reasonField, signed } from '../../signed.ts';
import { givenParameters, parameterFields } from '../jobs/parameter-fields.ts';
import { jobOf } from '../jobs/start.ts';

const overlaps = Object.keys(overlapPolicies) as OverlapName[];

/** Makes a schedule of a job. */
export const scheduleAction = action<JobDefinition>({
  path: '/jobs/:job/schedule',
  section: 'schedules',
  title: ({ name }) => `Schedule ${name}`,
  read: jobOf,
  form: (job, given) =>
    html`${textField('id', 'Id of the schedule', given.one('id') ?? job.name, 'what it is called; several schedules of a job have several')}
      ${textField('cron', 'Times', given.one('cron') ?? '0 2 * * *', 'minute, hour, day of the month, month, weekday; or @daily, @every 90m')}
      ${textField('timeZone', 'Time zone', given.one('timeZone') ?? 'UTC', 'such as Europe/Berlin; dates in parameters follow it')}
      ${overlapField(given)}
      <h2>Parameters</h2>
      <p class="small">
        A date may be an expression: <code>{{scheduled}}</code> is the day for which the run is scheduled,
        <code>{{scheduled-7d}}</code> a week before it.
      </p>
      ${parameterFields(job, given, 'expressions')} ${reasonField(given, false, 'nightly from now on')}`,
  button: () => 'Make the schedule',
  back: ({ param }) => jobHref(param('job')),
  act: async (fields, visit) => {
    const job = await jobOf(visit);
    const scheduleId = sent(fields, 'id');
    const created = await createSchedule(
      visit.session,
      job,
      {
        scheduleId,
        parameters: givenParameters(job, fields),
        cron: [sent(fields, 'cron')],
        timeZone: sent(fields, 'timeZone'),
        overlap: overlaps.find((one) => one === fields.one('overlap')) ?? 'skip',
      },
      signed(fields, visit),
    );
    return { to: scheduleHref(scheduleId), result: created };
  },
});

function sent(fields: Fields, name: string): string {
  const text = fields.one(name);
  if (text !== undefined) return text;
  throw new ToldError(`"${name}" is missing.`);
}

function textField(name: string, label: string, value: string, hint: string): Html {
  return html`<p>
    <label for="${name}">${label}</label>
    <input id="${name}" name="${name}" value="${value}" aria-describedby="${name}-hint" required />
    <span class="hint" id="${name}-hint">${hint}</span>
  </p>`;
}

function overlapField(given: Fields): Html {
  const chosen = given.one('overlap') ?? 'skip';
  return html`<p>
    <label for="overlap">When the run before it goes on still</label>
    <select id="overlap" name="overlap">
      ${overlaps.map((name) => html`<option ${name === chosen ? html`selected` : nothing}>${name}</option>`)}
    </select>
  </p>`;
}
