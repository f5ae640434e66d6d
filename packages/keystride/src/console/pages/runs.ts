import { isFinal } from '../../contract/states.ts';
import { keystride } from '../../operator/called-as.ts';
import { remainingSeconds, shareDone } from '../../operator/figures.ts';
import { count, duration, rate, tookOf } from '../../operator/format.ts';
import { listedJobs, runGroups, type RunFilter, type RunGroup } from '../../operator/run-query.ts';
import { countRuns, listRuns, type ListedRun } from '../../operator/runs.ts';
import { html, nothing, type Html } from '../html.ts';
import { runHref, runsHref } from '../hrefs.ts';
import type { Series } from '../live/series.ts';
import { bar, dataTable, emptiness, figure, moment, stateBadge, toneOf } from '../parts.ts';
import { view } from '../view.ts';
import type { Visit } from '../visit.ts';

/** Runs of a page. */
const perPage = 25;

interface ShownRun extends ListedRun {
  /** Rows a second, and seconds until all that is expected of the open step is done; null where nobody can tell. */
  readonly perSecond: number | null;
  readonly remainingSeconds: number | null;
}

interface RunsData {
  readonly filter: RunFilter;
  readonly jobs: readonly string[];
  readonly counts: Awaited<ReturnType<typeof countRuns>>;
  readonly runs: readonly ShownRun[];
  /** What `after` takes to go on; null at the end. */
  readonly next: string | null;
  /** Not the first page. */
  readonly later: boolean;
}

/** The runs of all jobs. */
export const runsPage = view<RunsData>({
  path: '/',
  section: 'runs',
  every: 3_000,
  title: () => 'Runs',
  read: readRunsData,
  parts: (data) => ({
    tabs: tabs(data),
    filters: filterForm(data),
    runs: runsTable(data),
    pager: pager(data),
  }),
});

async function readRunsData({ session, series, query }: Visit): Promise<RunsData> {
  const filter = filterOf(query);
  const after = query('after');
  const [jobs, counts, page] = await Promise.all([
    listedJobs(),
    countRuns(session, filter),
    listRuns(session, filter, { limit: perPage, after }),
  ]);
  const runs = page.runs.map((run) => ({ ...run, ...paceOf(run, series) }));
  return { filter, jobs, counts, runs, next: page.next, later: after !== undefined };
}

/** What the address asks for; what makes no sense does not matter. */
function filterOf(query: Visit['query']): RunFilter {
  const day = (name: string) => {
    const text = query(name);
    return text !== undefined && /^\d{4}-\d\d-\d\d$/u.test(text) ? text : undefined;
  };
  return {
    job: query('job'),
    group: runGroups.find((group) => group === query('state')),
    text: query('text')?.slice(0, 200),
    from: day('from'),
    to: day('to'),
  };
}

function paceOf(
  { runId, status, open }: ListedRun,
  series: Series,
): Pick<ShownRun, 'perSecond' | 'remainingSeconds'> {
  if (open === null || isFinal(status)) return { perSecond: null, remainingSeconds: null };
  const { step, done, expected } = open;
  const pace = series.pace(`${runId} committed ${step}`, done);
  return {
    perSecond: status === 'running' ? pace.perSecond : null,
    remainingSeconds: remainingSeconds({ done, expected, status, rate: pace }),
  };
}

const groupNames: Readonly<Record<RunGroup, string>> = {
  active: 'Active',
  held: 'Wait for you',
  failed: 'Failed',
  completedWithSkips: 'With skips',
  completed: 'Completed',
  stopped: 'Stopped',
};

/** The address of the list with another filter; pages begin anew. */
function hrefWith(filter: RunFilter, change: Partial<RunFilter & { after: string }>): string {
  const { group, ...others } = { ...filter, ...change };
  return runsHref({ ...others, state: group });
}

function tabs({ filter, counts }: RunsData): Html {
  const tab = (group: RunGroup | undefined, name: string, number: number) =>
    html`<li>
      <a href="${hrefWith(filter, { group })}" ${group === filter.group ? html`aria-current="page"` : nothing}
        >${name} <span class="count">${count(number)}</span></a
      >
    </li>`;
  return html`<nav aria-label="Runs by state">
    <ul class="tabs">
      ${tab(undefined, 'All', counts.all)}
      ${runGroups.map((group) => {
        const number = counts.groups[group];
        return number === undefined ? nothing : tab(group, groupNames[group], number);
      })}
    </ul>
  </nav>`;
}

function filterForm({ filter, jobs }: RunsData): Html {
  const { job, group, text, from, to } = filter;
  return html`<form method="get" action="/" class="filters" role="search" aria-label="Runs">
    ${group === undefined ? nothing : html`<input type="hidden" name="state" value="${group}" />`}
    <p class="wide">
      <label for="text">Id begins with</label>
      <input id="text" name="text" type="search" value="${text ?? ''}" maxlength="200" />
    </p>
    <p>
      <label for="job">Job</label>
      <select id="job" name="job">
        <option value="">All jobs</option>
        ${jobs.map((name) => html`<option ${name === job ? html`selected` : nothing}>${name}</option>`)}
      </select>
    </p>
    <p>
      <label for="from">Started from</label>
      <input id="from" name="from" type="date" value="${from ?? ''}" />
    </p>
    <p>
      <label for="to">to (UTC)</label>
      <input id="to" name="to" type="date" value="${to ?? ''}" />
    </p>
    <p class="buttons">
      <button type="submit" class="plain">Filter</button>
      ${job || text || from || to ? html`<a href="${runsHref({ state: group })}">Clear</a>` : nothing}
    </p>
  </form>`;
}

function runsTable({ runs, filter, counts }: RunsData): Html {
  if (runs.length === 0) return noRuns(filter, counts.all);
  return dataTable(
    html`Runs <span class="soft">those that go on first, then the last that ended</span>`,
    [
      {
        head: 'Run',
        names: true,
        cell: ({ workflowId }) => html`<a class="mono" href="${runHref(workflowId)}">${workflowId}</a>`,
      },
      { head: 'State', cell: ({ status }) => stateBadge(status) },
      { head: 'Progress', cell: progressCell },
      { head: 'Written', number: true, cell: ({ written }) => figure(written) },
      { head: 'Skipped', number: true, cell: ({ skipped }) => figure(skipped) },
      { head: 'Started', cell: ({ startedAt }) => moment(startedAt) },
      { head: 'Took', number: true, cell: (run) => duration(tookOf(run)) },
    ],
    runs,
  );
}

function progressCell({ open, status, perSecond, remainingSeconds: left }: ShownRun): Html {
  if (open === null || isFinal(status)) return nothing;
  const { step, done, expected } = open;
  const share = shareDone(done, expected);
  const words = [
    share === null ? `${count(done)} rows` : `${Math.floor(share * 100)} %`,
    ...(perSecond === null ? [] : [rate(perSecond)]),
    ...(left === null ? [] : [`${duration(left * 1000)} left`]),
  ];
  return html`${bar(share, toneOf(status), `Progress of ${step}`)}
    <span class="small soft">${step} ${words.join(' · ')}</span>`;
}

function noRuns(filter: RunFilter, all: number): Html {
  const filtered = Object.values(filter).some((value) => value !== undefined);
  return filtered
    ? emptiness(
        all === 0 ? 'No run is like that.' : 'No run is in this state.',
        html`<a href="/">Show all runs</a>`,
      )
    : emptiness(
        'There are no runs.',
        html`Start one: <code>${keystride} start JOB</code>; <code>${keystride} jobs</code> shows what there
          is.`,
      );
}

function pager({ filter, next, later }: RunsData): Html {
  if (next === null && !later) return nothing;
  return html`<p class="pager">
    ${later ? html`<a href="${hrefWith(filter, {})}">First page</a>` : nothing}
    ${next === null ? nothing : html`<a href="${hrefWith(filter, { after: next })}">Next ${perPage}</a>`}
  </p>`;
}
