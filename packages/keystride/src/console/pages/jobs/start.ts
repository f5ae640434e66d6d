import type { JobDefinition } from '../../../contract/job.ts';
import { parameterFaults } from '../../../contract/parameters.ts';
import { jobNamed, startRequest, startRun, untilOpened } from '../../../operator/start.ts';
import { action, type Fields } from '../../action.ts';
import { tokenField } from '../../guards/form-token.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, runHref } from '../../hrefs.ts';
import { reasonField, signed } from '../../signed.ts';
import type { Visit } from '../../visit.ts';
import { givenParameters, parameterFields } from './parameter-fields.ts';

/** The job of an address. @throws CommandError of type UnknownJob */
export const jobOf = ({ param }: Pick<Visit, 'param'>): Promise<JobDefinition> =>
  jobNamed(param('job'), 'Look at');

/** Starts a job, or goes on with an instance that failed or was stopped. */
export const startAction = action<JobDefinition>({
  path: '/jobs/:job/start',
  section: 'jobs',
  title: ({ name }) => `Start ${name}`,
  read: jobOf,
  form: (job, given) =>
    html`<p>${job.description}</p>
      ${sentInstance(job, given)} ${parameterFields(job, given)}
      ${reasonField(given, false, 'the nightly run has failed')}
      <p class="small">
        An instance that has failed or was stopped goes on where it stands; one that runs or has completed is
        not started again. <a href="${jobHref(job.name, 'plan')}">Plan it first</a>
      </p>`,
  button: () => 'Start',
  back: ({ param }) => jobHref(param('job')),
  act: async (fields, visit) => {
    const job = await jobOf(visit);
    const request = startRequest(job, givenParameters(job, fields));
    const run = await startRun(visit.session, { ...request, author: signed(fields, visit) });
    const opened = await untilOpened(visit.session, run);
    return { to: runHref(run.workflowId), result: { ...run, opened } };
  },
});

/** The instance that was asked for, where the start was refused: what is so of it stands on its page. */
function sentInstance(job: JobDefinition, given: Fields): Html {
  const parameters = givenParameters(job, given);
  if (given.one(tokenField) === undefined || parameterFaults(job, parameters).length > 0) return nothing;
  const { instance } = startRequest(job, parameters);
  return html`<p>Its page: <a class="mono" href="${runHref(instance)}">${instance}</a></p>`;
}
