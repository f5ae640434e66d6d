import { auditActions, type AuditFacts } from '../../contract/audit.ts';
import { type EnteredChange, readAudit } from '../../ledger/audit.ts';
import { withLedger } from '../../operator/ledger.ts';
import { factText } from '../../operator/fact-text.ts';
import { noticeChanges } from '../../operator/notice.ts';
import { html, nothing, type Html } from '../html.ts';
import { queryOf, runHref } from '../hrefs.ts';
import { dataTable, emptiness, moment, pager } from '../parts.ts';
import { view } from '../view.ts';
import type { Visit } from '../visit.ts';

const perPage = 50;

interface AuditData {
  readonly asked: ReturnType<typeof askedOf>;
  readonly entries: readonly EnteredChange[];
  /** What `after` takes to go on; null at the end. */
  readonly next: string | null;
}

/** Who did what, when and why. */
export const auditPage = view<AuditData>({
  path: '/audit',
  section: 'audit',
  title: () => 'Who did what',
  read: async ({ session, query, readOnly }) => {
    const asked = askedOf(query);
    // Where Temporal is away, what was done there is entered when somebody looks again. Older pages show nothing new.
    if (!readOnly && query('after') === undefined) await noticeChanges(session).catch(() => undefined);
    const found = await withLedger((ledger) =>
      readAudit(ledger, asked, { limit: perPage + 1, after: query('after') }),
    );
    const entries = found.slice(0, perPage);
    return { asked, entries, next: found.length > perPage ? (entries.at(-1)?.key ?? null) : null };
  },
  parts: ({ asked, entries, next }) => ({
    filters: filterForm(asked),
    entries:
      entries.length > 0
        ? entriesTable(entries)
        : Object.values(asked).some((value) => value !== undefined)
          ? emptiness('No change is like that.', html`<a href="/audit">Show all of them</a>`)
          : emptiness(
              'Nobody has changed anything yet.',
              'Starts, controls, skips, schedules and syncs are entered here.',
            ),
    pager: pager(next === null ? null : [`/audit${queryOf({ ...asked, after: next })}`, `Next ${perPage}`]),
  }),
});

function askedOf(query: Visit['query']) {
  return {
    id: query('id'),
    operator: query('operator'),
    action: auditActions.find((action) => action === query('action')),
  };
}

function filterForm({ id, operator, action }: AuditData['asked']): Html {
  return html`<form method="get" action="/audit" class="filters" role="search" aria-label="Changes">
    <p class="wide">
      <label for="id">Run, instance, schedule or stream</label>
      <input id="id" name="id" type="search" value="${id ?? ''}" maxlength="1000" />
    </p>
    <p>
      <label for="operator">Who</label>
      <input id="operator" name="operator" type="search" value="${operator ?? ''}" maxlength="200" />
    </p>
    <p>
      <label for="action">What</label>
      <select id="action" name="action">
        <option value="">Everything</option>
        ${auditActions.map((one) => html`<option ${one === action ? html`selected` : nothing}>${one}</option>`)}
      </select>
    </p>
    <p class="buttons">
      <button type="submit" class="plain">Filter</button>
      ${(id ?? operator ?? action) === undefined ? nothing : html`<a href="/audit">Clear</a>`}
    </p>
  </form>`;
}

/**
 * Changes, with who made them and why.
 *
 * @param ofAll the run whose page it stands on: where all of them are of that one, none names it
 */
export function entriesTable(
  entries: readonly EnteredChange[],
  caption: Html = html`Changes <span class="soft">the last one first</span>`,
  ofAll?: string,
): Html {
  return dataTable(
    caption,
    [
      { head: 'When', cell: ({ at }) => moment(at) },
      {
        head: 'Who',
        names: true,
        cell: ({ operator, from }) => html`${operator} <span class="soft small">by ${from}</span>`,
      },
      { head: 'What', cell: ({ action }) => action },
      ...(entries.some(({ workflowId }) => workflowId !== ofAll)
        ? [{ head: 'Of what', cell: subjectCell }]
        : []),
      { head: 'Why', cell: ({ reason }) => reason ?? html`<span class="soft">–</span>` },
      ...(entries.some(({ before }) => Object.keys(before).length > 0)
        ? [{ head: 'Before', cell: ({ before }: EnteredChange) => factsCell(before) }]
        : []),
      { head: 'After', cell: ({ after }) => factsCell(after) },
    ],
    entries,
  );
}

function subjectCell({ subject, workflowId, instance }: EnteredChange): Html {
  if (workflowId !== null) return html`<a class="mono small" href="${runHref(workflowId)}">${workflowId}</a>`;
  return html`<span class="mono small">${subject ?? instance ?? ''}</span>`;
}

function factsCell(facts: AuditFacts): Html {
  return html`${Object.entries(facts).map(
    ([name, value]) =>
      html`<span class="small"><span class="soft">${name}</span> ${factText(value)}</span><br />`,
  )}`;
}
