import { shellWord } from '../../../contract/shell.ts';
import { type DeadLetterPage, pageOfDeadLetters } from '../../../ledger/dead-letter-list.ts';
import { skipStatuses, type SkipStatus } from '../../../ledger/skip-filter.ts';
import { keystride } from '../../../operator/called-as.ts';
import { withLedger } from '../../../operator/ledger.ts';
import { readSkips, skipCount, type SkipList } from '../../../operator/skips/list.ts';
import { html, nothing, type Html } from '../../html.ts';
import { queryOf, runHref, skipsHref } from '../../hrefs.ts';
import { emptiness } from '../../parts.ts';
import { view } from '../../view.ts';
import { type AskedSkips, askedSkips, skipPager, skipSearch, skipsQuery } from './filter.ts';
import { causesTable, itemsTable, lettersTable } from './tables.ts';

/** Items, and dead letters, of a page. */
const perPage = 25;
const lettersPerPage = 10;

interface InstanceSkips extends SkipList {
  readonly asked: AskedSkips;
  readonly deadLetters: DeadLetterPage;
}

/** The skips of an instance, and what can be done with them. */
export const instanceSkipsPage = view<InstanceSkips>({
  path: '/skips/:id',
  section: 'skips',
  title: ({ instance }) => `Skips: ${instance}`,
  read: (visit) => {
    const asked = askedSkips(visit);
    return withLedger(async (ledger) => {
      const list = await readSkips(ledger, visit.param('id'), { ...asked, limit: perPage });
      const deadLetters = await pageOfDeadLetters(ledger, list.instance, { limit: lettersPerPage });
      return { asked, ...list, deadLetters };
    });
  },
  parts: (data, { readOnly }) => ({
    tabs: tabs(data),
    search: skipSearch(skipsHref(data.instance), data.asked, [
      ...new Set(data.causes.map(({ code }) => code)),
    ]),
    causes: data.causes.length === 0 ? nothing : causes(data, readOnly),
    items: items(data, readOnly),
    actions: actions(data, readOnly),
    letters:
      data.deadLetters.letters.length === 0
        ? nothing
        : html`${lettersTable(data.deadLetters.letters, 'instance')}
            <p class="pager">
              <a href="/dead-letters${queryOf({ instance: data.instance })}">All dead letters of it</a>
            </p>`,
  }),
});

const tabNames: Readonly<Record<SkipStatus, string>> = {
  open: 'Open',
  redriven: 'Redriven',
  waived: 'Waived',
};

function tabs({ instance, asked, ...data }: InstanceSkips): Html {
  const { status } = asked;
  const tab = (one: SkipStatus | undefined, name: string, number: number | undefined) =>
    html`<li>
      <a
        href="${skipsHref(instance)}${skipsQuery({ ...asked, after: undefined, status: one })}"
        ${one === status ? html`aria-current="page"` : nothing}
        >${name} ${number === undefined ? nothing : html`<span class="count">${skipCount(number)}</span>`}</a
      >
    </li>`;
  // With a state alone asked for, the others were not counted.
  return html`<nav aria-label="Skips by state">
      <ul class="tabs">
        ${tab(undefined, 'All', status === undefined ? data.total : undefined)}
        ${skipStatuses.map((one) =>
          tab(one, tabNames[one], status === undefined || status === one ? data[one] : undefined),
        )}
      </ul>
    </nav>
    <p class="small"><a href="${runHref(instance)}">The run</a></p>`;
}

function causes({ causes: listed, instance }: InstanceSkips, readOnly: boolean): Html {
  const below = (name: string, cause: string) =>
    html`<a href="${skipsHref(instance, name)}${queryOf({ fingerprint: cause })}"
      >${name === 'redrive' ? 'Redrive' : 'Waive'}</a
    >`;
  return causesTable(listed, {
    hrefOf: ({ fingerprint }) => `${skipsHref(instance)}${skipsQuery({ fingerprint })}`,
    more: readOnly
      ? []
      : [
          {
            head: 'To do',
            cell: ({ fingerprint, open }) =>
              open === 0
                ? html`<span class="soft">nothing</span>`
                : html`<span class="nowrap"
                    >${below('redrive', fingerprint)} · ${below('waive', fingerprint)}</span
                  >`,
          },
        ],
  });
}

/** The items are a form without a change: what is marked goes to the page that asks why. */
function items({ instance, skips, asked, next, total }: InstanceSkips, readOnly: boolean): Html {
  if (skips.length === 0) return noItems(instance, asked, total);
  const caption = html`Items <span class="soft">as they were recorded</span>`;
  const pager = skipPager(skipsHref(instance), asked, next);
  const markable = !readOnly && skips.some(({ status }) => status === 'open');
  if (!markable) return html`${itemsTable(caption, skips, {})}${pager}`;
  const table = itemsTable(caption, skips, {
    before: [
      {
        head: 'Mark',
        cell: ({ key, status }) =>
          status === 'open'
            ? html`<input type="checkbox" name="key" value="${key}" aria-label="Mark ${key}" />`
            : nothing,
      },
    ],
  });
  return html`<form method="get" action="${skipsHref(instance, 'redrive')}">
      ${table}
      <p class="pager buttons">
        <button type="submit" class="plain">Redrive what is marked</button>
        <button type="submit" class="plain" formaction="${skipsHref(instance, 'waive')}">
          Waive what is marked
        </button>
      </p>
    </form>
    ${pager}`;
}

function noItems(instance: string, asked: AskedSkips, total: number): Html {
  const narrowed = Object.values(asked).some((value) => value !== undefined);
  return narrowed && total === 0
    ? emptiness('No skip of it is like that.', html`<a href="${skipsHref(instance)}">Show all of them</a>`)
    : emptiness('It has skipped nothing.', html`<a href="${runHref(instance)}">The run</a>`);
}

function actions({ instance, asked, total, ...data }: InstanceSkips, readOnly: boolean): Html {
  if (total === 0) return nothing;
  const { fingerprint } = asked;
  const all = fingerprint === undefined ? 'all that are open' : 'this cause';
  const query = queryOf({ fingerprint });
  return html`<p class="buttons">
      ${
        readOnly || data.open === 0
          ? nothing
          : html`<a class="button" href="${skipsHref(instance, 'redrive')}${query}">Redrive ${all}</a>
              <a class="button plain" href="${skipsHref(instance, 'waive')}${query}">Waive ${all}</a>`
      }
      <a
        class="button plain"
        href="${skipsHref(instance, 'export.csv')}${skipsQuery({ ...asked, after: undefined })}"
        >Export as CSV</a
      >
    </p>
    <p class="small soft">
      The same by command: <code>${keystride} skips ${shellWord(instance)} list</code>
    </p>`;
}
