import type { Tuning } from '../../../contract/messages.ts';
import { ToldError } from '../../../contract/told-error.ts';
import { wrongTuning } from '../../../contract/tuning.ts';
import { sendControl } from '../../../operator/control.ts';
import { count } from '../../../operator/format.ts';
import type { LiveProgress } from '../../../operator/heartbeats.ts';
import { action, type Fields } from '../../action.ts';
import { html, type Html } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { reasonField, signed } from '../../signed.ts';
import { readProgress, whichRun } from './controls.ts';

/** A figure that can be changed while a job runs. */
interface Figure {
  readonly name: keyof Tuning;
  readonly label: string;
  readonly hint: string;
  readonly least: number;
  /** What it is now; null where nobody has told. */
  readonly now: (progress: LiveProgress) => number | null;
}

const figures: readonly Figure[] = [
  {
    name: 'concurrency',
    label: 'Concurrency',
    hint: 'items being processed at a time, over all partitions',
    least: 1,
    now: ({ tuning, live }) => tuning?.concurrency ?? live?.concurrency ?? null,
  },
  {
    name: 'chunkSize',
    label: 'Chunk size',
    hint: 'items in one transaction',
    least: 1,
    now: ({ tuning, live }) => tuning?.chunkSize ?? live?.chunkSize ?? null,
  },
  {
    name: 'partitions',
    label: 'Partitions',
    hint: 'running at a time',
    least: 1,
    now: ({ tuning, live }) => tuning?.partitions ?? (live?.pages.length || null),
  },
  {
    name: 'rowsPerSecond',
    label: 'Rows a second',
    hint: 'items started a second, over all partitions; 0 lifts the limit',
    least: 0,
    now: ({ tuning }) => tuning?.rowsPerSecond ?? null,
  },
];

/** Changes figures of a running job: shows what each is now, and takes what it is to be. */
export const tuneAction = action<LiveProgress>({
  path: '/runs/:id/tune',
  section: 'runs',
  title: ({ workflowId }) => `Tune: ${workflowId}`,
  read: readProgress,
  form: (progress, given) =>
    html`${whichRun(progress)}
      <p>It holds for all chunk steps until the execution ends. What is left empty stays as it is.</p>
      ${figures.map((figure) => figureField(figure, progress, given))}
      ${reasonField(given, false, 'the database has room at night')}`,
  button: () => 'Tune',
  back: ({ param }) => runHref(param('id')),
  act: async (fields, visit) => {
    const tuning = Object.fromEntries(
      figures.flatMap(({ name }) => {
        const text = fields.one(name);
        return text === undefined ? [] : [[name, Number(text)]];
      }),
    ) as Tuning;
    const wrong = wrongTuning(tuning);
    if (wrong !== undefined) throw new ToldError(`Nothing was tuned: ${wrong}.`);
    const workflowId = visit.param('id');
    const request = { ...tuning, ...signed(fields, visit) };
    const { status } = await sendControl(visit.session, 'tune', workflowId, request);
    return { to: runHref(workflowId), result: { workflowId, status, tuning } };
  },
});

function figureField({ name, label, hint, least, now }: Figure, progress: LiveProgress, given: Fields): Html {
  const current = now(progress);
  const tuned = progress.tuning?.[name] !== undefined;
  return html`<p class="tuning">
    <label for="${name}">${label}</label>
    <span class="now">
      <span class="soft">now</span> <strong>${current === null ? '–' : count(current)}</strong>
      <span class="soft">${tuned ? '(tuned)' : ''} →</span>
    </span>
    <input
      id="${name}"
      name="${name}"
      inputmode="decimal"
      value="${given.one(name) ?? ''}"
      aria-describedby="${name}-hint"
    />
    <span class="hint" id="${name}-hint">${hint}, from ${least}</span>
  </p>`;
}
