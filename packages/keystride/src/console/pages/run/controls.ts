import { sendControl } from '../../../operator/control.ts';
import { readExecution } from '../../../operator/execution.ts';
import type { LiveProgress } from '../../../operator/heartbeats.ts';
import { keptMeanwhile } from '../../../operator/syncs/kept.ts';
import { startVerification } from '../../../operator/verify.ts';
import { action } from '../../action.ts';
import { html, nothing, type Html } from '../../html.ts';
import { runHref } from '../../hrefs.ts';
import { pairs, stateBadge } from '../../parts.ts';
import { reasonField, signed, signedWithReason } from '../../signed.ts';
import type { Visit } from '../../visit.ts';

/** A control that takes no more than a reason. */
interface PlainControl {
  readonly control: 'pause' | 'resume' | 'stop' | 'skip';
  readonly verb: string;
  /** What will happen. */
  readonly does: string;
  readonly reasonRequired: boolean;
  readonly example: string;
}

const plainControls: readonly PlainControl[] = [
  {
    control: 'pause',
    verb: 'Pause',
    does: 'The chunks in hand commit, then the run waits until somebody resumes it. Nothing is lost.',
    reasonRequired: false,
    example: 'the API is being upgraded',
  },
  {
    control: 'resume',
    verb: 'Resume',
    does: 'The run goes on where it stands. One that holds tries again what it holds for.',
    reasonRequired: false,
    example: 'the API is back',
  },
  {
    control: 'stop',
    verb: 'Stop',
    does: 'The chunks in hand commit, then the run ends. A new start goes on from there.',
    reasonRequired: true,
    example: 'the source is to be restored first',
  },
  {
    control: 'skip',
    verb: 'Skip the items',
    does: 'The items that the run holds for are set aside as skips, and it goes on. They can be run again alone.',
    reasonRequired: true,
    example: 'known to be malformed',
  },
];

/** What is asked before a run is asked. */
export async function readProgress({ session, param }: Visit): Promise<LiveProgress> {
  return (await readExecution(session.client, param('id'))).progress;
}

/** Which run it is, and in what state. */
export function whichRun({ workflowId, status, reason }: LiveProgress): Html {
  return pairs([
    ['Run', html`<span class="mono">${workflowId}</span>`],
    ['State', html`${stateBadge(status)} ${reason ?? ''}`],
  ]);
}

/** A run, and what a person should know before it is paused. */
interface AskedControl {
  readonly progress: LiveProgress;
  readonly warning: string | undefined;
}

const backToRun = ({ param }: Visit): string => runHref(param('id'));

/** Pause, resume, stop and skip, each with a page that asks first. */
export const plainControlActions = plainControls.map(({ control, verb, does, reasonRequired, example }) =>
  action<AskedControl>({
    path: `/runs/:id/${control}`,
    section: 'runs',
    title: ({ progress: { workflowId } }) => `${verb}: ${workflowId}`,
    read: async (visit) => {
      const progress = await readProgress(visit);
      return { progress, warning: control === 'pause' ? await keptMeanwhile(progress) : undefined };
    },
    form: ({ progress, warning }, given) =>
      html`${whichRun(progress)}
        <p>${does}</p>
        ${warning === undefined ? nothing : html`<p class="notice">${warning}</p>`}
        ${reasonField(given, reasonRequired, example)}`,
    button: () => verb,
    back: backToRun,
    act: async (fields, visit) => {
      const request = reasonRequired ? signedWithReason(fields, visit) : signed(fields, visit);
      const workflowId = visit.param('id');
      const { status } = await sendControl(visit.session, control, workflowId, request);
      return { to: runHref(workflowId), result: { workflowId, status } };
    },
  }),
);

/** Compares source and target of a run; puts right what differs only where that is asked for. */
export const verifyAction = action<LiveProgress>({
  path: '/runs/:id/verify',
  section: 'runs',
  title: ({ workflowId }) => `Verify: ${workflowId}`,
  read: readProgress,
  form: (progress, given) =>
    html`${whichRun(progress)}
      <p>
        Source and target are compared, by a workflow of its own. The result stands on the page of the run.
      </p>
      <p>
        <label class="check">
          <input type="checkbox" name="repair" value="true" ${given.one('repair') ? html`checked` : ''} />
          <span>Put right what differs, and compare it once more</span>
        </label>
      </p>`,
  button: () => 'Verify',
  back: backToRun,
  act: async (fields, visit) => {
    const workflowId = visit.param('id');
    const repair = fields.one('repair') === 'true';
    const author = signed(fields, visit);
    const handle = await startVerification(visit.session, workflowId, { repair, author });
    return { to: runHref(workflowId), result: { workflowId: handle.workflowId } };
  },
});
