import type { SkipFilter } from '../../../ledger/skip-filter.ts';
import { countByStatus } from '../../../ledger/skip-list.ts';
import { findInstance, withLedger } from '../../../operator/ledger.ts';
import { skipCount } from '../../../operator/skips/list.ts';
import { startRedrive } from '../../../operator/skips/redrive.ts';
import { waiveSkips } from '../../../operator/skips/waive.ts';
import { untilOpened } from '../../../operator/start.ts';
import { action, type Fields } from '../../action.ts';
import { html, nothing, type Html } from '../../html.ts';
import { runHref, skipsHref } from '../../hrefs.ts';
import { pairs } from '../../parts.ts';
import { reasonField, signed, signedWithReason } from '../../signed.ts';
import type { Visit } from '../../visit.ts';

/** Which skips of an instance a change is about. */
type MeantSkips = Pick<SkipFilter, 'fingerprint' | 'key'>;

interface Meant {
  readonly instance: string;
  readonly open: number;
}

const meantBy = (fingerprint: string | undefined, keys: readonly string[]): MeantSkips => ({
  ...(fingerprint !== undefined && { fingerprint }),
  ...(keys.length > 0 && { key: keys }),
});

const sentSkips = (fields: Fields): MeantSkips => meantBy(fields.one('fingerprint'), fields.all('key'));

function readMeant({ param, query, queries }: Visit): Promise<Meant> {
  const filter = meantBy(query('fingerprint'), queries('key'));
  return withLedger(async (ledger) => {
    const instance = await findInstance(ledger, param('id'));
    const { open } = await countByStatus(ledger, instance, { ...filter, status: 'open' });
    return { instance, open };
  });
}

/** Which skips it is about, for people and as what the form sends. */
function meantSkips({ instance, open }: Meant, given: Fields): Html {
  const { fingerprint, key = [] } = sentSkips(given);
  return html`${pairs([
    ['Instance', html`<span class="mono">${instance}</span>`],
    ...(fingerprint === undefined ? [] : [['Cause', fingerprint] as const]),
    ...(key.length === 0 ? [] : [['Keys', html`<span class="mono">${key.join(', ')}</span>`] as const]),
    ['Open of them', skipCount(open)],
  ])}
  ${fingerprint === undefined ? nothing : html`<input type="hidden" name="fingerprint" value="${fingerprint}" />`}
  ${key.map((one) => html`<input type="hidden" name="key" value="${one}" />`)}`;
}

const backToSkips = ({ param }: Visit): string => skipsHref(param('id'));

/** Runs open skips again. */
export const redriveAction = action<Meant>({
  path: '/skips/:id/redrive',
  section: 'skips',
  title: ({ instance }) => `Redrive skips: ${instance}`,
  read: readMeant,
  form: (meant, given) =>
    html`${meantSkips(meant, given)}
      <p>
        They are run again as a run of their own. Those that succeed are closed; those that fail again stay
        open.
      </p>
      ${reasonField(given, false, 'the API has the documents now')}`,
  button: () => 'Redrive',
  back: backToSkips,
  act: async (fields, visit) => {
    const author = signed(fields, visit);
    const started = await startRedrive(visit.session, visit.param('id'), sentSkips(fields), author);
    await untilOpened(visit.session, started);
    return { to: runHref(started.workflowId), result: started };
  },
});

/** Closes open skips without running them. */
export const waiveAction = action<Meant>({
  path: '/skips/:id/waive',
  section: 'skips',
  title: ({ instance }) => `Waive skips: ${instance}`,
  read: readMeant,
  form: (meant, given) =>
    html`${meantSkips(meant, given)}
      <p>They are closed without being run: somebody has decided that nothing is to be done.</p>
      ${reasonField(given, true, 'withdrawn by its author')}`,
  button: () => 'Waive',
  back: backToSkips,
  act: async (fields, visit) => {
    const { by, reason } = signedWithReason(fields, visit);
    const waived = await waiveSkips(visit.param('id'), sentSkips(fields), { by, reason });
    return { to: skipsHref(waived.instance), result: waived };
  },
});
