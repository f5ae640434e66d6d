import type { Tuning } from '../../../contract/messages.ts';
import { policiesOf } from '../../../contract/policies.ts';
import type { ChunkPolicy } from '../../../contract/policy.ts';
import { ToldError } from '../../../contract/told-error.ts';
import { wrongTuning } from '../../../contract/tuning.ts';
import { findJob } from '../../../operator/catalogue.ts';
import { sendControl } from '../../../operator/control.ts';
import { count } from '../../../operator/format.ts';
import type { LiveProgress } from '../../../operator/heartbeats.ts';
import { action, type Fields } from '../../action.ts';
import { html, type Html } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { reasonField, signed } from '../../signed.ts';
import type { Visit } from '../../visit.ts';
import { readProgress, whichRun } from './controls.ts';

/** A run, and what its contract says of the step that it is at. */
interface Tunable {
  readonly progress: LiveProgress;
  /** Undefined where the project of this console has no such job, or the job no chunk step. */
  readonly policy: ChunkPolicy | undefined;
}

/** A figure that can be changed while a job runs. */
interface Figure {
  readonly name: keyof Tuning;
  readonly label: string;
  readonly hint: string;
  readonly least: number;
  /** What the pages that run tell. */
  readonly live?: (live: NonNullable<LiveProgress['live']>) => number | null;
  readonly contract: (policy: ChunkPolicy) => number;
}

const figures: readonly Figure[] = [
  {
    name: 'concurrency',
    label: 'Concurrency',
    hint: 'items being processed at a time, over all partitions',
    least: 1,
    live: ({ concurrency }) => concurrency,
    contract: ({ concurrency }) => concurrency,
  },
  {
    name: 'chunkSize',
    label: 'Chunk size',
    hint: 'items in one transaction',
    least: 1,
    live: ({ chunkSize }) => chunkSize,
    contract: ({ chunkSize }) => chunkSize,
  },
  {
    name: 'partitions',
    label: 'Partitions',
    hint: 'running at a time',
    least: 1,
    live: ({ pages }) => pages.length,
    contract: ({ window, partitions }) => Math.min(window, partitions),
  },
  {
    name: 'rowsPerSecond',
    label: 'Rows a second',
    hint: 'items started a second, over all partitions; 0 lifts the limit',
    least: 0,
    contract: ({ rowsPerSecond = 0 }) => rowsPerSecond,
  },
];

/** Changes figures of a running job: shows what each is now, and takes what it is to be. */
export const tuneAction = action<Tunable>({
  path: '/runs/:id/tune',
  section: 'runs',
  title: ({ progress: { workflowId } }) => `Tune: ${workflowId}`,
  read: readTunable,
  form: (tunable, given) =>
    html`${whichRun(tunable.progress)}
      <p>It holds for all chunk steps until the execution ends. What is left empty stays as it is.</p>
      ${figures.map((figure) => figureField(figure, tunable, given))}
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

async function readTunable(visit: Visit): Promise<Tunable> {
  const progress = await readProgress(visit);
  // A project that cannot be loaded keeps nobody from tuning.
  const job = await findJob(progress.job).catch(() => undefined);
  const policies = job === undefined ? {} : policiesOf(job, progress.parameters ?? {});
  const { step } = progress.steps.findLast(({ kind }) => kind === 'chunk') ?? {};
  const chunkPolicies = Object.entries(policies).flatMap(([name, policy]) =>
    policy.kind === 'chunk' ? [{ name, policy }] : [],
  );
  const { policy } = chunkPolicies.find(({ name }) => name === step) ?? chunkPolicies[0] ?? {};
  return { progress, policy };
}

/** What a figure is now, and who says so. */
function nowOf({ name, live, contract }: Figure, { progress, policy }: Tunable): [number | null, string] {
  const tuned = progress.tuning?.[name];
  if (tuned !== undefined) return [tuned, 'tuned'];
  const told = progress.live && live?.(progress.live);
  if (told) return [told, ''];
  return policy === undefined ? [null, ''] : [contract(policy), 'by contract'];
}

function figureField(figure: Figure, tunable: Tunable, given: Fields): Html {
  const { name, label, hint, least } = figure;
  const [now, by] = nowOf(figure, tunable);
  // Only a rate may be none: that is no limit.
  const shown = now === null ? '–' : now === 0 ? 'no limit' : count(now);
  return html`<p class="tuning">
    <label for="${name}">${label}</label>
    <span class="now">
      <span class="soft">now</span> <strong>${shown}</strong>
      <span class="soft">${by === '' ? '' : `(${by})`} →</span>
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
