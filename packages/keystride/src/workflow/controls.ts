import { defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { PartitionNews } from '../contract/step-activities.ts';
import { cutText, failure, longestMessage } from '../contract/errors.ts';
import { wrongChangedBy } from '../contract/audit.ts';
import {
  type ControlAnswer,
  type ControlRequest,
  messages,
  type TuneRequest,
  type Tuning,
} from '../contract/messages.ts';
import type { JobProgress } from '../contract/progress.ts';
import { isFinal, type JobStatus, mayBecome } from '../contract/states.ts';
import { figuresOf, wrongTuning } from '../contract/tuning.ts';
import { obey } from './obey.ts';
import type { JobRun } from './job-run.ts';

/**
 * Answers what operators ask of a run, and refuses what its state does not allow, with the reason.
 *
 * No handler works or waits: it notes what is wanted, says which state that led to, and leaves the rest to the flow.
 */
export function setControls(run: JobRun): void {
  setHandler(defineQuery<JobProgress>(messages.progress), () => run.progress(), {
    description: 'State, steps and counters of this execution.',
  });
  setHandler(defineSignal<[PartitionNews]>(messages.news), (news) => run.reports.hear(news), {
    description: 'What a partition has decided by itself. Sent by partitions alone.',
  });
  setPause(run);
  setResume(run);
  setStop(run);
  setSkip(run);
  setTune(run);
}

function setPause(run: JobRun): void {
  setHandler(
    defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.pause),
    (request) => answer(run, 'pause', request, () => run.requestPause(request?.reason ?? null)),
    {
      description: 'Lets the chunks in hand commit and waits. Input: {"reason": "…"}',
      validator: (request: ControlRequest | undefined) => {
        refuseUnless(run, 'pausing', 'pause');
        refuseRequest(request);
      },
    },
  );
}

function setResume(run: JobRun): void {
  setHandler(
    defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.resume),
    (request) => answer(run, 'resume', request, () => run.resume()),
    {
      description: 'Goes on after a pause, or tries a failed step again. Input: {"reason": "…"}',
      validator: (request: ControlRequest | undefined) => {
        refuseUnless(run, 'running', 'resume');
        refuseRequest(request);
      },
    },
  );
}

function setStop(run: JobRun): void {
  setHandler(
    defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.stop),
    (request) =>
      answer(run, 'stop', request, () => run.requestStop(request?.reason ?? 'stopped by an operator')),
    {
      description:
        'Lets the chunks in hand commit and ends; a new start goes on from there. Input: {"reason": "…"}',
      validator: (request: ControlRequest | undefined) => {
        refuseUnless(run, 'stopping', 'stop');
        refuseRequest(request);
      },
    },
  );
}

function setSkip(run: JobRun): void {
  setHandler(
    defineUpdate<ControlAnswer, [ControlRequest | undefined]>(messages.skip),
    (request) => answer(run, 'skip', request, () => run.skipHeld(request?.reason ?? null)),
    {
      description: 'Sets the items aside that the job holds for, and goes on. Input: {"reason": "…"}',
      validator: (request: ControlRequest | undefined) => {
        refuseRequest(request);
        if (run.heldItems.length > 0) return;
        throw failure('ControlRefused', `${run.job} is ${run.status}: there is no single item to skip.`);
      },
    },
  );
}

function setTune(run: JobRun): void {
  setHandler(
    defineUpdate<ControlAnswer, [TuneRequest]>(messages.tune),
    (request) => answer(run, 'tune', request, () => run.tune(figuresOf(request) as Tuning)),
    {
      description:
        'Changes {"chunkSize", "concurrency", "partitions", "rowsPerSecond"} of the running steps.',
      validator: (request: TuneRequest) => {
        if (isFinal(run.status) || run.status === 'stopping') refuse(run, 'tune');
        refuseRequest(request);
        const wrong = wrongTuning(figuresOf(request));
        if (wrong)
          throw failure('ControlRefused', `${run.job} cannot be tuned so: ${wrong}. Nothing has changed.`);
      },
    },
  );
}

function answer(...[run, control, request, act]: Parameters<typeof obey>): ControlAnswer {
  obey(run, control, request, act);
  return { status: run.status };
}

function refuseUnless(run: JobRun, next: JobStatus, control: string): void {
  if (!mayBecome(run.status, next)) refuse(run, control);
}

/** A reason is kept and shown wherever the state is, and so is who gives it. */
function refuseRequest(request: ControlRequest | undefined): void {
  const reason: unknown = request?.reason ?? '';
  const wrong =
    typeof reason === 'string' && cutText(reason) === reason
      ? wrongChangedBy(request?.by)
      : `the reason must be a text of at most ${longestMessage} bytes`;
  if (wrong !== undefined) throw failure('ControlRefused', `${wrong}. Nothing has changed.`);
}

function refuse(run: JobRun, control: string): never {
  throw failure('ControlRefused', `${run.job} is ${run.status}: it cannot ${control} now.`);
}
