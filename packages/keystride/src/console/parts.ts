import type { StepStatus } from '../contract/progress.ts';
import type { JobStatus } from '../contract/states.ts';
import { count, time } from '../operator/format.ts';
import { html, nothing, type Html } from './html.ts';

// What pages are built of.

/** How a state is shown: its colour, and a shape for whoever sees none. */
export type Tone = 'run' | 'good' | 'warn' | 'bad' | 'rest';

const looks: Readonly<Record<JobStatus, readonly [Tone, string]>> = {
  starting: ['run', '○'],
  running: ['run', '▶'],
  pausing: ['warn', '‖'],
  paused: ['warn', '‖'],
  throttled: ['warn', '◔'],
  holding: ['bad', '!'],
  stopping: ['rest', '■'],
  completed: ['good', '✓'],
  completedWithSkips: ['warn', '✓'],
  stopped: ['rest', '■'],
  failed: ['bad', '✕'],
};

const words: Readonly<Partial<Record<JobStatus, string>>> = {
  completedWithSkips: 'completed with skips',
};

/** The colour of a state. */
export function toneOf(status: JobStatus | StepStatus): Tone {
  return looks[status][0];
}

/** A state in words. */
export function wordsOf(status: JobStatus): string {
  return words[status] ?? status;
}

/** A state: word, shape and colour. */
export function stateBadge(status: JobStatus | StepStatus): Html {
  const [tone, shape] = looks[status];
  return badge(tone, shape, wordsOf(status));
}

/** A word with a shape before it, in a colour. */
export function badge(tone: Tone, shape: string, text: string): Html {
  return html`<span class="state tone-${tone}" data-shape="${shape}">${text}</span>`;
}

/** A bar for a share from 0 to 1; nothing where nobody knows it. */
export function bar(share: number | null, tone: Tone, label: string, large = false): Html {
  if (share === null) return nothing;
  const percent = Math.floor(share * 100);
  return html`<progress
    class="tone-${tone}${large ? ' large' : ''}"
    max="100"
    value="${percent}"
    aria-label="${label}"
  >
    ${percent} %
  </progress>`;
}

/** A column of a table. Its cells are made from a row. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => Html | string | number;
  /** Aligned to the right. @default false */
  readonly number?: boolean;
  /** Names the row. @default false */
  readonly names?: boolean;
}

/** A table that says what it is of. On a narrow screen each row is a card. */
export function dataTable<Row>(
  caption: Html | string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Html {
  return html`<div class="table-frame" tabindex="0">
    <table class="cards">
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(({ head, number }) => html`<th scope="col" ${numberClass(number)}>${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${columns.map((column) => cellOf(column, row))}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function cellOf<Row>({ head, cell, number, names }: Column<Row>, row: Row): Html {
  const shown = html`<span>${cell(row)}</span>`;
  return names
    ? html`<td data-label="${head}" ${numberClass(number)}><strong>${shown}</strong></td>`
    : html`<td data-label="${head}" ${numberClass(number)}>${shown}</td>`;
}

function numberClass(number = false): Html {
  return number ? html`class="number"` : nothing;
}

/** Figures at the head of a page: a name and a value each. */
export function facts(entries: readonly (readonly [string, Html | string | number | null])[]): Html {
  return html`<dl class="facts">
    ${entries
      .filter(([, value]) => value !== null)
      .map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd class="large">${value}</dd>
          </div>`,
      )}
  </dl>`;
}

/** Names and values below one another. */
export function pairs(entries: readonly (readonly [string, Html | string | number])[]): Html {
  return html`<dl class="pairs">
    ${entries.map(
      ([name, value]) =>
        html`<dt>${name}</dt>
          <dd>${value}</dd>`,
    )}
  </dl>`;
}

/** A piece of a page with a heading. */
export function panel(heading: string, body: Html): Html {
  return html`<section class="panel">
    <h2>${heading}</h2>
    ${body}
  </section>`;
}

/** That there is nothing, and the command or page that comes next. */
export function emptiness(what: string, next: Html | string): Html {
  return html`<div class="panel empty">
    <p>${what}</p>
    <p>${next}</p>
  </div>`;
}

/** Links to other pages of a list, each an address and a text; null for one that there is not. */
export function pager(...links: readonly (readonly [href: string, text: string] | null)[]): Html {
  const there = links.filter((link) => link !== null);
  if (there.length === 0) return nothing;
  return html`<p class="pager">${there.map(([href, text]) => html`<a href="${href}">${text}</a> `)}</p>`;
}

/** A figure, or a dash for one that nobody knows. */
export function figure(value: number | null): string {
  return value === null ? '–' : count(value);
}

/** An ISO time as people read it, with its zone, and exactly for programs. */
export function moment(iso: string): Html {
  return html`<time datetime="${iso}" class="nowrap"
    >${time(iso).replace('T', ' ').replace('Z', ' UTC')}</time
  >`;
}
