import type { SharedCalls } from '../../ledger/call-shares.ts';
import { keystride } from '../../operator/called-as.ts';
import { type Health, type NeededPart, readHealth, type RunHeldBack } from '../../operator/health/health.ts';
import { leftBehind, type PolledQueue, type WorkerBuildState } from '../../operator/health/workers.ts';
import { plain } from '../../operator/format.ts';
import { html, nothing, type Html } from '../html.ts';
import { runHref } from '../hrefs.ts';
import { badge, dataTable, emptiness, figure, moment, stateBadge } from '../parts.ts';
import { view } from '../view.ts';

/** How everything is, and what to do about it. */
export const healthPage = view<Health>({
  path: '/health',
  section: 'health',
  every: 5_000,
  title: () => 'Health',
  read: ({ session }) => readHealth(session),
  parts: (health) => ({
    verdict: verdict(health),
    needed: neededTable(health),
    workers: health.temporal.away === null ? queuesTable(health.queues) : nothing,
    builds: health.builds.length === 0 ? nothing : buildsTable(health),
    runs: runsTable(health.heldBack),
    calls: callsTable(health.calls),
  }),
});

/** What is to be done stands above, on every page. */
function verdict({ findings }: Health): Html {
  return findings.length === 0
    ? html`<p>${badge('good', '✓', 'Nothing needs a person')}</p>`
    : html`<ul class="plain-list panel">
        ${findings.map(
          ({ mark, what, todo }) =>
            html`<li>
              ${mark === 'bad' ? badge('bad', '✕', 'problem') : badge('warn', '!', 'notice')}
              <strong>${what}.</strong> ${todo}
            </li>`,
        )}
      </ul>`;
}

function neededTable({ temporal, ledger }: Health): Html {
  const rows: readonly (NeededPart & { readonly name: string })[] = [
    { name: 'Temporal', ...temporal },
    { name: 'Ledger', ...ledger },
  ];
  return dataTable(
    'What nothing goes on without',
    [
      { head: 'Part', names: true, cell: ({ name }) => name },
      {
        head: 'State',
        cell: ({ away }) => (away === null ? badge('good', '✓', 'answers') : badge('bad', '✕', 'away')),
      },
      {
        head: 'Address',
        cell: ({ address }) => html`<span class="mono small">${address || 'not known'}</span>`,
      },
      ...(rows.some(({ away }) => away !== null)
        ? [{ head: 'Why', cell: ({ away }: NeededPart) => away ?? '' }]
        : []),
    ],
    rows,
  );
}

function queuesTable(queues: readonly PolledQueue[]): Html {
  return dataTable(
    html`Task queues <span class="soft">and the workers that poll them</span>`,
    [
      {
        head: 'Queue',
        names: true,
        cell: ({ taskQueue }) => html`<span class="mono nowrap">${plain(taskQueue, 60)}</span>`,
      },
      {
        head: 'State',
        cell: ({ pollers }) =>
          pollers.length === 0
            ? badge('bad', '✕', 'no worker')
            : badge('good', '✓', pollers.length === 1 ? 'one worker' : `${pollers.length} workers`),
      },
      {
        head: 'Workers',
        cell: ({ pollers }) =>
          pollers.length === 0
            ? html`Start one: <code>${keystride} worker</code>`
            : html`${pollers.map(
                ({ identity, lastSeenAt, build }) =>
                  html`<span class="small"
                      ><span class="mono">${identity}</span
                      >${build === null ? '' : `, build ${plain(build, 40)}`}, polled
                      ${moment(lastSeenAt)}</span
                    ><br />`,
              )}`,
      },
    ],
    queues,
  );
}

function buildsTable({ builds, queues }: Health): Html {
  const behind = new Set(leftBehind(builds, queues));
  return dataTable(
    html`Builds <span class="soft">that runs stay with</span>`,
    [
      {
        head: 'Build',
        names: true,
        cell: ({ build }: WorkerBuildState) => html`<span class="mono">${plain(build, 60)}</span>`,
      },
      { head: 'Deployment', cell: ({ deployment }) => deployment },
      {
        head: 'Runs',
        cell: (one) =>
          behind.has(one)
            ? badge('bad', '✕', 'left behind')
            : one.drains
              ? badge('run', '▶', 'go on with it')
              : badge('rest', '○', 'none left behind'),
      },
    ],
    builds,
  );
}

function runsTable(runs: readonly RunHeldBack[]): Html {
  if (runs.length === 0)
    return emptiness('Nothing holds a run back.', html`<a href="/?state=active">Runs that go on</a>`);
  return dataTable(
    'What holds runs back',
    [
      {
        head: 'Run',
        names: true,
        cell: ({ workflowId }) => html`<a class="mono" href="${runHref(workflowId)}">${workflowId}</a>`,
      },
      { head: 'State', cell: ({ status }) => stateBadge(status) },
      { head: 'Why', cell: ({ reason }) => reason ?? 'see its page' },
    ],
    runs,
  );
}

function callsTable(calls: readonly SharedCalls[]): Html {
  if (calls.length === 0)
    return emptiness(
      'No API is being called that workers share.',
      'Their limits stand where the resources of the project are made.',
    );
  return dataTable(
    html`Calls of APIs <span class="soft">that workers share</span>`,
    [
      { head: 'API', names: true, cell: ({ api }) => html`<span class="mono">${api}</span>` },
      { head: 'Calls at a time', number: true, cell: ({ calls: out }) => figure(out) },
      { head: 'Limit', number: true, cell: ({ limit }) => figure(limit) },
      { head: 'Workers', number: true, cell: ({ workers }) => figure(workers) },
    ],
    calls,
  );
}
