import { type DeadLetterPage, pageOfDeadLetters } from '../../../ledger/dead-letter-list.ts';
import { findInstance, withLedger } from '../../../operator/ledger.ts';
import { html, nothing } from '../../html.ts';
import { queryOf } from '../../hrefs.ts';
import { emptiness } from '../../parts.ts';
import { view } from '../../view.ts';
import { lettersTable } from './tables.ts';

const perPage = 50;

interface DeadLetters extends DeadLetterPage {
  readonly instance: string | null;
}

/** Items that have ended their step, of all instances or of one. */
export const deadLettersPage = view<DeadLetters>({
  path: '/dead-letters',
  section: 'skips',
  title: ({ instance }) => (instance === null ? 'Dead letters' : `Dead letters: ${instance}`),
  read: ({ query }) =>
    withLedger(async (ledger) => {
      const id = query('instance');
      const instance = id === undefined ? undefined : await findInstance(ledger, id);
      const page = await pageOfDeadLetters(ledger, instance, { after: query('after'), limit: perPage });
      return { instance: instance ?? null, ...page };
    }),
  parts: ({ instance, letters, next }) => ({
    letters:
      letters.length === 0
        ? emptiness('There are no dead letters.', html`<a href="/skips">Skips that are open</a>`)
        : lettersTable(letters, instance === null ? 'all' : 'instance'),
    pager:
      next === null
        ? nothing
        : html`<p class="pager">
            <a href="/dead-letters${queryOf({ instance: instance ?? undefined, after: next })}">Next page</a>
          </p>`,
  }),
});
