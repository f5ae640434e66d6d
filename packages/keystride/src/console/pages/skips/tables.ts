import type { ListedDeadLetter } from '../../../ledger/dead-letter-list.ts';
import type { Cause } from '../../../ledger/skip-causes.ts';
import type { SkippedItem } from '../../../ledger/skip-list.ts';
import { skipCount } from '../../../operator/skips/list.ts';
import { html, nothing, type Html } from '../../html.ts';
import { runHref, skipsHref } from '../../hrefs.ts';
import { badge, dataTable, moment, type Column } from '../../parts.ts';

/** The state of a skip. */
export function skipBadge(status: string): Html {
  if (status === 'redriven') return badge('good', '✓', status);
  return status === 'waived' ? badge('rest', '■', status) : badge('warn', '○', status);
}

/** The causes of skips. @param hrefOf where the skips of a cause are shown */
export function causesTable(
  causes: readonly Cause[],
  {
    hrefOf,
    more = [],
  }: { readonly hrefOf: (cause: Cause) => string; readonly more?: readonly Column<Cause>[] },
): Html {
  return dataTable(
    html`Causes <span class="soft">the most frequent first</span>`,
    [
      {
        head: 'Cause',
        names: true,
        cell: (cause) => html`<a href="${hrefOf(cause)}">${cause.fingerprint}</a>`,
      },
      { head: 'Items', number: true, cell: ({ count }) => skipCount(count) },
      { head: 'Open', number: true, cell: ({ open }) => skipCount(open) },
      { head: 'First', cell: ({ firstAt }) => moment(firstAt) },
      { head: 'Last', cell: ({ lastAt }) => moment(lastAt) },
      ...more,
    ],
    causes,
  );
}

/** The instance of an item, where they are of several. */
export const instanceColumn: Column<SkippedItem> = {
  head: 'Instance',
  cell: ({ instance }) => html`<a class="mono small" href="${skipsHref(instance)}">${instance}</a>`,
};

/** Items that were set aside. @param before columns before the key */
export function itemsTable(
  caption: Html | string,
  skips: readonly SkippedItem[],
  {
    before = [],
    after = [],
  }: { readonly before?: readonly Column<SkippedItem>[]; readonly after?: readonly Column<SkippedItem>[] },
): Html {
  return dataTable(
    caption,
    [
      ...before,
      { head: 'Key', names: true, cell: ({ key }) => html`<span class="mono key">${key}</span>` },
      { head: 'State', cell: stateCell },
      { head: 'Code', cell: ({ code }) => html`<span class="mono small code">${code}</span>` },
      { head: 'What happened', cell: ({ message }) => html`<span class="small">${message}</span>` },
      {
        head: 'Where',
        cell: ({ step, partition, phase, attempts }) =>
          html`<span class="small"
            >${step} p${partition}, ${phase}, ${attempts === 1 ? 'one attempt' : `${attempts} attempts`}</span
          >`,
      },
      ...(skips.some(({ item }) => item !== null) ? [keptColumn] : []),
      { head: 'When', cell: ({ at }) => moment(at) },
      ...after,
    ],
    skips,
  );
}

/** What the job keeps of an item. It is closed until somebody asks for it. */
const keptColumn: Column<SkippedItem> = {
  head: 'Item',
  cell: ({ item, key }) =>
    item === null
      ? ''
      : html`<details>
          <summary aria-label="Item ${key}">Show</summary>
          <pre class="small">${JSON.stringify(item, undefined, 2)}</pre>
        </details>`,
};

function stateCell({ status, settledBy, settledAt, reason }: SkippedItem): Html {
  if (settledAt === null) return skipBadge(status);
  return html`${skipBadge(status)}
    <span class="small soft"
      >by ${settledBy ?? 'somebody'}, ${moment(settledAt)}${reason === null ? nothing : `: ${reason}`}</span
    >`;
}

/** Items that have ended their step. */
export function lettersTable(letters: readonly ListedDeadLetter[], of: 'all' | 'instance'): Html {
  const instance: Column<ListedDeadLetter> = {
    head: 'Instance',
    cell: (letter) => html`<a class="mono small" href="${runHref(letter.workflowId)}">${letter.instance}</a>`,
  };
  return dataTable(
    html`Dead letters
      <span class="soft">items that failed for good and ended their step, the last one first</span>`,
    [
      ...(of === 'all' ? [instance] : []),
      { head: 'Key', names: true, cell: ({ key }) => html`<span class="mono key">${key}</span>` },
      { head: 'Code', cell: ({ code }) => html`<span class="mono small code">${code}</span>` },
      { head: 'What happened', cell: ({ message }) => html`<span class="small">${message}</span>` },
      {
        head: 'Where',
        cell: ({ step, partition, phase }) =>
          html`<span class="small">${step} p${partition}, ${phase}</span>`,
      },
      { head: 'When', cell: ({ at }) => moment(at) },
    ],
    letters,
  );
}
