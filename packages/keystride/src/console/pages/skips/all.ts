import { type DeadLetterPage, pageOfDeadLetters } from '../../../ledger/dead-letter-list.ts';
import { keystride } from '../../../operator/called-as.ts';
import { withLedger } from '../../../operator/ledger.ts';
import { type OpenSkips, readOpenSkips } from '../../../operator/skips/list.ts';
import { html, nothing } from '../../html.ts';
import { emptiness } from '../../parts.ts';
import { view } from '../../view.ts';
import { type AskedSkips, askedSkips, skipPager, skipSearch, skipsQuery } from './filter.ts';
import { causesTable, instanceColumn, itemsTable, lettersTable } from './tables.ts';

/** Items, and dead letters, of a page. */
const perPage = 25;
const lettersPerPage = 10;

interface AllSkips extends OpenSkips {
  readonly asked: AskedSkips;
  readonly deadLetters: DeadLetterPage;
}

const base = '/skips';

/** What is open of all instances. */
export const allSkipsPage = view<AllSkips>({
  path: base,
  section: 'skips',
  title: () => 'Skips that are open',
  read: (visit) => {
    const asked = askedSkips(visit);
    return withLedger(async (ledger) => ({
      asked,
      ...(await readOpenSkips(ledger, { ...asked, limit: perPage })),
      deadLetters: await pageOfDeadLetters(ledger, undefined, { limit: lettersPerPage }),
    }));
  },
  parts: ({ asked, causes, skips, next, deadLetters }) => ({
    search: skipSearch(base, asked, [...new Set(causes.map(({ code }) => code))]),
    causes:
      causes.length === 0
        ? nothing
        : causesTable(causes, { hrefOf: ({ fingerprint }) => `${base}${skipsQuery({ fingerprint })}` }),
    items:
      skips.length > 0
        ? html`${itemsTable(
            html`Items <span class="soft">of all instances, as they were recorded</span>`,
            skips,
            { after: [instanceColumn] },
          )}${skipPager(base, asked, next)}`
        : Object.values(asked).some((value) => value !== undefined)
          ? emptiness('No open skip is like that.', html`<a href="${base}">Show all open skips</a>`)
          : emptiness(
              'No skip is open.',
              html`Those of a run, settled ones too: <code>${keystride} skips ID list</code>, or the page of
                the run.`,
            ),
    letters:
      deadLetters.letters.length === 0
        ? nothing
        : html`${lettersTable(deadLetters.letters, 'all')}
            <p class="pager"><a href="/dead-letters">All dead letters</a></p>`,
  }),
});
