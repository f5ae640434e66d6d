import { keystride } from '../../../operator/called-as.ts';
import { catalogue } from '../../../operator/catalogue.ts';
import { listedJob, type ListedJob } from '../../../operator/listed-job.ts';
import { html } from '../../html.ts';
import { jobHref, runsHref } from '../../hrefs.ts';
import { dataTable, emptiness } from '../../parts.ts';
import { view } from '../../view.ts';

interface Catalogue {
  readonly jobs: readonly ListedJob[];
}

/** What can be started. */
export const jobsPage = view<Catalogue>({
  path: '/jobs',
  section: 'jobs',
  title: () => 'Jobs',
  read: async () => ({ jobs: (await catalogue()).map(listedJob) }),
  parts: ({ jobs }, { readOnly }) => ({
    jobs:
      jobs.length === 0
        ? emptiness(
            'No jobs are known here: the console was not started in a project.',
            html`Start it where keystride.config.ts is: <code>${keystride} console</code>`,
          )
        : dataTable(
            'Jobs',
            [
              { head: 'Job', names: true, cell: ({ name }) => html`<a href="${jobHref(name)}">${name}</a>` },
              { head: 'What it does', cell: ({ description }) => description },
              {
                head: 'Parameters',
                cell: ({ parameters }) =>
                  html`<span class="small">${parameters.map(({ name }) => name).join(', ') || 'none'}</span>`,
              },
              {
                head: 'Steps',
                cell: ({ steps }) =>
                  html`<span class="small">${steps.map(({ step }) => step).join(', ')}</span>`,
              },
              { head: 'Runs', cell: ({ name }) => html`<a href="${runsHref({ job: name })}">Runs</a>` },
              ...(readOnly
                ? []
                : [
                    {
                      head: 'To do',
                      cell: ({ name }: ListedJob) => html`<a href="${jobHref(name, 'start')}">Start</a>`,
                    },
                  ]),
            ],
            jobs,
          ),
  }),
});
