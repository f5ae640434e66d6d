import { randomUUID } from 'node:crypto';
import { parameterToText } from '../../../contract/parameters.ts';
import type { JobDefinition } from '../../../contract/job.ts';
import { sensitiveParameters } from '../../../contract/sensitive.ts';
import type { JobForecast, PlannedStep } from '../../../host/plan-job.ts';
import { count, duration } from '../../../operator/format.ts';
import { sizeOf, spanOf } from '../../../operator/plan-words.ts';
import { action } from '../../action.ts';
import { Refusal } from '../../guards/refusal.ts';
import { html, nothing, type Html } from '../../html.ts';
import { jobHref, queryOf } from '../../hrefs.ts';
import { pairs, panel } from '../../parts.ts';
import { view } from '../../view.ts';
import { fieldOf, givenParameters, parameterFields } from './parameter-fields.ts';
import { jobOf } from './start.ts';

/** A forecast, and what it is of. */
interface KeptPlan {
  /** Those that may stand in an address. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly forecast: JobForecast;
}

/** Plans are kept in memory, the last ones: they show rows, which nothing else of keystride keeps. */
const kept = new Map<string, KeptPlan>();
const mostKept = 20;

function keep(plan: KeptPlan): string {
  const id = randomUUID();
  kept.set(id, plan);
  for (const old of [...kept.keys()].slice(0, -mostKept)) kept.delete(old);
  return id;
}

/** Items shown of each step, and seconds that each may be tried. */
const extent = { samples: 3, trySeconds: 3 };

/** Tries the first chunks of a job. */
export const planAction = action<JobDefinition>({
  path: '/jobs/:job/plan',
  section: 'jobs',
  title: ({ name }) => `Plan ${name}`,
  read: jobOf,
  form: (job, given) =>
    html`<p>
        The first chunks of each step are read, processed and written in a transaction that is rolled back,
        for ${extent.trySeconds} s a step at most. Nothing is started.
      </p>
      ${parameterFields(job, given)}`,
  button: () => 'Plan',
  back: ({ param }) => jobHref(param('job')),
  act: async (fields, visit) => {
    // What workers work with is loaded here alone.
    const { forecastOf } = await import('../../../operator/plan.ts');
    const job = await jobOf(visit);
    const parameters = givenParameters(job, fields);
    const forecast = await forecastOf(job, parameters, extent);
    const hidden = sensitiveParameters(job);
    const shown = Object.entries(parameters).filter(([name]) => !hidden.has(name));
    const id = keep({ parameters: Object.fromEntries(shown), forecast });
    return { to: jobHref(job.name, `plans/${id}`), result: forecast };
  },
});

/** What a plan has come to. */
export const planPage = view<KeptPlan>({
  path: '/jobs/:job/plans/:plan',
  section: 'jobs',
  title: ({ forecast }) => `Plan: ${forecast.instance}`,
  read: ({ param }) => {
    const found = kept.get(param('plan'));
    if (found?.forecast.job === param('job')) return Promise.resolve(found);
    throw new Refusal(404, 'there is no such plan any more', 'Plan the job again, on its page.');
  },
  parts: ({ forecast, parameters }, { readOnly }) => ({
    note: html`<p>
      <strong>Nothing was written.</strong> The rows that are shown are the data: this console keeps them for
      a while, and nothing else does.
    </p>`,
    steps: html`${forecast.steps.map(stepPanel)}`,
    next: readOnly ? nothing : startLink(forecast.job, parameters),
  }),
});

function startLink(job: string, parameters: KeptPlan['parameters']): Html {
  const query = queryOf(
    Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [fieldOf(name), parameterToText(value)]),
    ),
  );
  return html`<p class="buttons">
    <a class="button" href="${jobHref(job, 'start')}${query}">Go on to start it</a>
    <a class="button plain" href="${jobHref(job, 'plan')}${query}">Plan it otherwise</a>
  </p>`;
}

function stepPanel(step: PlannedStep): Html {
  const { tried, seconds, events, problems, notTried } = step;
  const figures: [string, string][] = [
    ...(sizeOf(step) === '' ? [] : [['Size', sizeOf(step)] satisfies [string, string]]),
    ...(tried.read > 0 ? [['Tried', triedText(tried)] satisfies [string, string]] : []),
    ...(seconds ? [['Would take', spanOf(seconds)] satisfies [string, string]] : []),
    ['History', `about ${count(events)} events`],
    ...(notTried === undefined ? [] : [['Not tried', `since ${notTried}`] satisfies [string, string]]),
  ];
  return panel(
    `${step.step} (${step.kind})`,
    html`${problems.map((problem) => html`<p class="notice problem"><strong>Problem:</strong> ${problem}</p>`)}
    ${pairs(figures)} ${samples(tried.samples)}`,
  );
}

function triedText({ read, written, filtered, skipped, seconds }: PlannedStep['tried']): string {
  return `${count(read)} read, ${count(written)} written, ${count(filtered)} filtered, ${count(skipped)} skipped in ${duration(seconds * 1000)}`;
}

/** The longest item that is shown, in characters. */
const longestItem = 2_000;

function samples(items: PlannedStep['tried']['samples']): Html {
  if (items.length === 0) return nothing;
  const shown = (value: unknown) => (JSON.stringify(value, undefined, 1) ?? 'nothing').slice(0, longestItem);
  return html`<h2 class="below">The first items, as they are read and as they would be written</h2>
    ${items.map(
      ({ before, after }) =>
        html`<div class="columns before-after">
          <pre class="mono small">${shown(before)}</pre>
          <pre class="mono small">${shown(after)}</pre>
        </div>`,
    )}`;
}
