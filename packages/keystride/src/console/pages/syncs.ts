import { ToldError } from '../../contract/told-error.ts';
import { keystride } from '../../operator/called-as.ts';
import { withLedger } from '../../operator/ledger.ts';
import { duration } from '../../operator/format.ts';
import {
  behindText,
  followedText,
  leftText,
  readSyncs,
  secondsSince,
  type SyncLag,
} from '../../operator/syncs/lag.ts';
import { rewindStream } from '../../operator/syncs/rewind.ts';
import { readStream } from '../../operator/syncs/streams.ts';
import type { Stream } from '../../ledger/streams.ts';
import { action } from '../action.ts';
import { html, nothing, type Html } from '../html.ts';
import { dataTable, emptiness, moment, pairs } from '../parts.ts';
import { reasonField, signedWithReason } from '../signed.ts';
import { view } from '../view.ts';

/** A transaction of the source that has been open for so long is worth a word, in seconds. */
const longOpen = 5;

/** The streams of all syncs, and how far behind they are. */
export const syncsPage = view<SyncLag>({
  path: '/syncs',
  section: 'syncs',
  title: () => 'Syncs',
  read: () => readSyncs(),
  parts: (data, { readOnly }) => ({
    oldest: oldest(data),
    streams: data.streams.length === 0 ? noSync() : streamsTable(data, readOnly),
    told: told(data),
  }),
});

function oldest({ oldestTransaction }: SyncLag): Html {
  if (!oldestTransaction || oldestTransaction.seconds < longOpen) return nothing;
  const { processId, application, seconds } = oldestTransaction;
  return html`<p class="notice">
    <strong>A transaction of the source has been open for ${duration(seconds * 1000)}</strong> (process
    ${processId}${application === null ? '' : `, ${application}`}): its rows are copied by the first run after
    its end.
  </p>`;
}

function noSync(): Html {
  return emptiness(
    'No sync has run yet.',
    html`Start one: <code>${keystride} start tableSync</code>, or by the page of its
      <a href="/jobs">job</a>.`,
  );
}

function streamsTable({ streams }: SyncLag, readOnly: boolean): Html {
  return dataTable(
    'Streams',
    [
      { head: 'Stream', names: true, cell: ({ stream }) => html`<span class="mono">${stream}</span>` },
      { head: 'Table', cell: ({ table }) => html`<span class="mono small">${table}</span>` },
      {
        head: 'Offset',
        cell: ({ cursor }) =>
          html`<span class="mono small">${cursor === null ? 'none' : cursor.join(', ')}</span>`,
      },
      {
        head: 'Behind',
        number: true,
        cell: ({ lag }) => behindText(lag),
      },
      { head: 'Moved', cell: ({ movedAt }) => `${duration(secondsSince(movedAt) * 1000)} ago` },
      { head: 'Swept', cell: ({ sweptAt }) => (sweptAt === null ? 'never' : moment(sweptAt)) },
      ...(readOnly
        ? []
        : [
            {
              head: 'To do',
              cell: ({ stream }: Stream) =>
                html`<a href="/syncs/${encodeURIComponent(stream)}/rewind">Rewind</a>`,
            },
          ]),
    ],
    streams,
  );
}

function told({ streams, slotsLeft }: SyncLag): Html {
  const words = streams.flatMap((one) => [
    ...(one.slot === null ? [] : [{ one, text: followedText(one), kind: 'notice-soft' }]),
    ...one.told.map((text) => ({ one, text, kind: 'notice-soft' })),
    ...(one.problem === null ? [] : [{ one, text: one.problem, kind: 'problem' }]),
  ]);
  return html`${slotsLeft.map((slot) => html`<p class="notice problem">${leftText(slot)}</p>`)}
  ${words.map(
    ({ one, text, kind }) => html`<p class="notice ${kind}"><strong>${one.stream}:</strong> ${text}</p>`,
  )}`;
}

/** Sets a stream back. */
export const rewindAction = action<Stream>({
  path: '/syncs/:stream/rewind',
  section: 'syncs',
  title: ({ stream }) => `Rewind: ${stream}`,
  read: ({ param }) => withLedger((ledger) => readStream(ledger, param('stream'))),
  form: ({ stream, table, cursor, key }, given) =>
    html`${pairs([
        ['Stream', html`<span class="mono">${stream}</span>`],
        ['Table', html`<span class="mono">${table}</span>`],
        ['Offset', html`<span class="mono">${cursor === null ? 'none' : cursor.join(', ')}</span>`],
      ])}
      <p>
        Its next run copies again what is above the new offset. Rows that are there already are written once
        more, with the same content. A run in flight does not move the offset any more.
      </p>
      <fieldset>
        <legend>The first key to copy again; empty for everything</legend>
        ${key.map(
          (column, index) =>
            html`<p>
              <label for="key-${index}">${column}</label>
              <input id="key-${index}" name="key" value="${given.all('key')[index] ?? ''}" />
            </p>`,
        )}
      </fieldset>
      <p>
        <label class="check">
          <input type="checkbox" name="confirm" value="${stream}" required />
          <span>Yes, set this stream back</span>
        </label>
      </p>
      ${reasonField(given, true, 'the target was restored')}`,
  button: () => 'Rewind',
  back: () => '/syncs',
  act: async (fields, visit) => {
    const stream = visit.param('stream');
    if (fields.one('confirm') !== stream)
      throw new ToldError('Nothing was rewound: confirm it, with the name of the stream in "confirm".');
    const rewound = await rewindStream(stream, fields.all('key'), signedWithReason(fields, visit));
    return { to: '/syncs', result: { stream, ...rewound } };
  },
});
