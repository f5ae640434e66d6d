import { type InstancePage, type ListedInstance, pageOfInstances } from '../../../ledger/instance-list.ts';
import { reasonOf } from '../../../operator/explain.ts';
import { withLedger } from '../../../operator/ledger.ts';
import { listedJob, type ListedJob } from '../../../operator/listed-job.ts';
import { readSchedules } from '../../../operator/schedules/list.ts';
import type { DescribedSchedule } from '../../../operator/schedules/read.ts';
import { jobNamed } from '../../../operator/start.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, queryOf, runHref } from '../../hrefs.ts';
import { dataTable, emptiness, moment, stateBadge } from '../../parts.ts';
import { view } from '../../view.ts';
import { schedulesTable } from '../schedules/tables.ts';

/** Instances of a page. */
const perPage = 20;

interface JobData extends ListedJob {
  readonly schedules: readonly DescribedSchedule[];
  /** Null where the ledger is away: `ledgerAway` says why. */
  readonly instances: InstancePage | null;
  readonly ledgerAway: string | null;
  /** What stands in the keys that are listed. */
  readonly text: string | null;
}

/** A job: what it takes and does, its schedules, and the instances of it. */
export const jobPage = view<JobData>({
  path: '/jobs/:job',
  section: 'jobs',
  title: ({ name }) => name,
  read: async ({ session, param, query }) => {
    const job = await jobNamed(param('job'), 'Look at');
    const text = query('text');
    const filter = { job: job.name, text };
    const [schedules, instances] = await Promise.all([
      readSchedules(session, job.name),
      withLedger((ledger) => pageOfInstances(ledger, filter, { after: query('after'), limit: perPage })).then(
        (page) => ({ instances: page, ledgerAway: null }),
        (error: unknown) => ({ instances: null, ledgerAway: reasonOf(error) }),
      ),
    ]);
    return { ...listedJob(job), schedules, ...instances, text: text ?? null };
  },
  parts: (data, { readOnly }) => ({
    head: html`<p>${data.description}</p>
      ${readOnly ? nothing : buttons(data.name)}`,
    parameters: parametersTable(data),
    steps: dataTable(
      'Steps',
      [
        { head: 'Step', names: true, cell: ({ step }) => step },
        { head: 'Kind', cell: ({ kind }) => kind },
      ],
      data.steps,
    ),
    schedules: data.schedules.length === 0 ? nothing : schedulesTable(data.schedules),
    instances: instancesOf(data),
  }),
});

function buttons(job: string): Html {
  return html`<p class="buttons">
    <a class="button" href="${jobHref(job, 'start')}">Start</a>
    <a class="button plain" href="${jobHref(job, 'plan')}">Plan: what would it be like?</a>
    <a class="button plain" href="${jobHref(job, 'schedule')}">Schedule</a>
  </p>`;
}

function parametersTable({ parameters }: ListedJob): Html {
  if (parameters.length === 0) return emptiness('It takes no parameters.', 'It has one instance.');
  return dataTable(
    'Parameters',
    [
      { head: 'Parameter', names: true, cell: ({ name }) => name },
      { head: 'Type', cell: ({ type }) => html`<span class="mono small">${type}</span>` },
      {
        head: 'Default',
        cell: (one) =>
          one.default === undefined
            ? one.required
              ? 'must be given'
              : 'none'
            : html`<span class="mono small">${JSON.stringify(one.default)}</span>`,
      },
      {
        head: 'Identifies',
        cell: ({ identifying }) => (identifying ? 'the instance' : html`<span class="soft">no</span>`),
      },
      { head: 'What it is', cell: ({ description }) => html`<span class="small">${description}</span>` },
    ],
    parameters,
  );
}

function instancesOf({ name, instances, ledgerAway, text }: JobData): Html {
  if (instances === null)
    return html`<p class="notice"><strong>The instances are not shown:</strong> ${ledgerAway}</p>`;
  const { instances: listed, next } = instances;
  const search = html`<form
    method="get"
    action="${jobHref(name)}"
    class="filters"
    role="search"
    aria-label="Instances"
  >
    <p class="wide">
      <label for="text">Instances with this in their key</label>
      <input id="text" name="text" type="search" value="${text ?? ''}" maxlength="200" />
    </p>
    <p class="buttons"><button type="submit" class="plain">Filter</button></p>
  </form>`;
  if (listed.length === 0)
    return text === null
      ? emptiness('It has not run yet.', html`<a href="${jobHref(name, 'start')}">Start it</a>`)
      : html`${search}${emptiness('No instance is like that.', html`<a href="${jobHref(name)}">Show all</a>`)}`;
  return html`${search}${dataTable(
    html`Instances <span class="soft">as the ledger has them, the last one first</span>`,
    [
      {
        head: 'Instance',
        names: true,
        cell: ({ instance, workflowId }: ListedInstance) =>
          html`<a class="mono" href="${runHref(workflowId)}">${instance}</a>`,
      },
      { head: 'State', cell: ({ status }) => stateBadge(status) },
      { head: 'Opened', cell: ({ openedAt }) => moment(openedAt) },
      { head: 'Ended', cell: ({ closedAt }) => (closedAt === null ? '–' : moment(closedAt)) },
    ],
    listed,
  )}
  ${
    next === null
      ? nothing
      : html`<p class="pager">
          <a href="${jobHref(name)}${queryOf({ text: text ?? undefined, after: next })}">Next ${perPage}</a>
        </p>`
  }`;
}
