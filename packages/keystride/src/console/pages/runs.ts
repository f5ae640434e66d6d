import { readRuns, type ListedRun } from '../../operator/runs.ts';
import { keystride } from '../../operator/called-as.ts';
import { html } from '../html.ts';
import { runHref } from '../hrefs.ts';
import { dataTable, emptiness, figure, moment, stateBadge } from '../parts.ts';
import { view } from '../view.ts';

/** Runs of a page. */
const perPage = 25;

/** The runs of all jobs. */
export const runsPage = view<readonly ListedRun[]>({
  path: '/',
  section: 'runs',
  every: 3_000,
  title: () => 'Runs',
  read: ({ session }) => readRuns(session, { limit: perPage }),
  parts: (runs) => ({
    runs:
      runs.length === 0
        ? emptiness('There are no runs.', html`Start one: <code>${keystride} start JOB</code>`)
        : dataTable(
            'Runs, newest first',
            [
              {
                head: 'Run',
                names: true,
                cell: ({ workflowId }) =>
                  html`<a class="mono" href="${runHref(workflowId)}">${workflowId}</a>`,
              },
              { head: 'State', cell: ({ status }) => stateBadge(status) },
              { head: 'Started', cell: ({ startedAt }) => moment(startedAt) },
              { head: 'Written', number: true, cell: ({ written }) => figure(written) },
              { head: 'Skipped', number: true, cell: ({ skipped }) => figure(skipped) },
            ],
            runs,
          ),
  }),
});
