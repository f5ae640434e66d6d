import { grouped } from '../../../contract/grouped.ts';
import { isFinal } from '../../../contract/states.ts';
import { html, nothing, type Html } from '../../html.ts';
import { queryOf } from '../../hrefs.ts';
import { view } from '../../view.ts';
import { entriesTable } from '../audit.ts';
import { readRunData, type RunData } from './data.ts';
import { headPanel } from './head.ts';
import { stripPanel } from './strip.ts';
import {
  decisionsPanel,
  executionsTable,
  parametersPanel,
  stepsTable,
  verificationsTable,
} from './tables.ts';

/** A run: where it stands, what it has done, what holds it back, and what can be done about it. */
export const runPage = view<RunData>({
  path: '/runs/:id',
  section: 'runs',
  // A page of work tells anew every six seconds at most; what has committed is told as it commits.
  every: 4_000,
  title: ({ progress }) => progress.workflowId,
  read: readRunData,
  parts: (data, { readOnly }) => ({
    head: headPanel(data, readOnly),
    chart: chartPanel(data),
    strips: html`${data.strips.map((strip) => stripPanel(strip, data.progress.workflowId))}${awayNotice(data)}`,
    steps: data.progress.steps.length === 0 ? nothing : stepsTable(data),
    more: html`<div class="columns">
      ${parametersPanel(data)}
      <div class="stack">${decisionsPanel(data)} ${nextPanel(data)}</div>
    </div>`,
    executions: executionsTable(data),
    verifications: verificationsTable(data),
    changes: changesTable(data),
  }),
});

/** Points of the chart that are sent. */
const mostPoints = 240;

function chartPanel({ rates, progress }: RunData): Html {
  if (isFinal(progress.status) && rates.length < 2) return nothing;
  const every = Math.ceil(rates.length / mostPoints) || 1;
  const shown = rates.filter((_, index) => index % every === 0);
  const data = [
    shown.map(({ at }) => Math.round(at / 1000)),
    shown.map(({ perSecond }) => Math.round(perSecond * 10) / 10),
  ];
  return html`<figure class="panel" data-chart="${JSON.stringify(data)}" data-unit="rows a second">
    <figcaption>Rows a second</figcaption>
    <div class="chart"><p class="soft">${chartWords(rates, isFinal(progress.status))}</p></div>
  </figure>`;
}

/** The same for whoever sees no chart. */
function chartWords(rates: RunData['rates'], ended: boolean): string {
  const figures = rates.map(({ perSecond }) => Math.round(perSecond));
  if (figures.length < 2) return 'The first figures come in a moment.';
  const [least, most] = [Math.min(...figures), Math.max(...figures)];
  return `Between ${grouped(least)} and ${grouped(most)}, ${ended ? 'at the end' : 'now'} ${grouped(figures.at(-1) ?? 0)}.`;
}

function changesTable({ changes, progress: { workflowId } }: RunData): Html {
  if (changes.length === 0) return nothing;
  return entriesTable(
    changes,
    html`Who did what <a class="small" href="/audit${queryOf({ id: workflowId })}">all of it</a>`,
    workflowId,
  );
}

function awayNotice({ ledgerAway }: RunData): Html {
  if (ledgerAway === null) return nothing;
  return html`<p class="notice"><strong>The partitions are not shown:</strong> ${ledgerAway}</p>`;
}

function nextPanel({ next }: RunData): Html {
  if (next.length === 0) return nothing;
  return html`<section class="panel">
    <h2>The same by command</h2>
    <ul class="plain-list">
      ${next.map((command) => html`<li><code>${command}</code></li>`)}
    </ul>
  </section>`;
}
