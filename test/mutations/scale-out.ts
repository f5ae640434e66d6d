import type { Mutation } from './mutation.ts';

const pageTime = 'packages/keystride/src/page/page-time.ts';
const window = 'packages/keystride/src/workflow/partition-window.ts';
const activities = 'packages/keystride/src/workflow/activities.ts';
const controls = 'packages/keystride/src/workflow/controls.ts';
const load = 'packages/keystride/src/host/worker-load.ts';
const workerCommand = 'packages/keystride/src/cli/worker.ts';

const keeping = 'test/workflows/page-time.test.ts';
const scaling = 'test/workflows/scale-out.test.ts';
const budget = 'test/workflows/history-budget.test.ts';
const pausing = 'test/chaos/pause-under-load.test.ts';
const usage = 'test/cli/usage.test.ts';
const continuing = 'test/workflows/continue-as-new.test.ts';

/** What makes pages move between workers, keep to their time, and cost little. */
export const scaleOut: readonly Mutation[] = [
  {
    rule: 'a page starts nothing that it has no time to commit',
    edits: [
      [
        pageTime,
        'performance.now() + needed >= this.#endsAt',
        'performance.now() + 0 * needed >= this.#endsAt',
      ],
    ],
    test: 'test/engine/pipeline.test.ts',
    named: 'the next one repeats next to nothing',
  },
  {
    rule: 'a page whose time is over begins no chunk',
    edits: [[pageTime, 'this.#chunks === 0 || performance.now() <= this.#endsAt + this.#itemMs', 'true']],
    test: keeping,
    named: 'slow writer, 20 at a time, pages of 1 s',
  },
  {
    rule: 'a page of a set step ends with its time',
    edits: [
      [
        'packages/keystride/src/page/ranges.ts',
        'if (this.#over && (!tooLarge || this.#cancel.signal.aborted)) return false;',
        '',
      ],
    ],
    test: keeping,
    named: 'slow set',
  },
  {
    rule: 'a page is handed to whichever worker has room',
    edits: [[activities, 'allowEagerDispatch: only', 'allowEagerDispatch: true']],
    test: scaling,
    named: 'a second worker that is started in the middle',
  },
  {
    rule: 'a worker takes as many activities as it is told',
    edits: [[load, `{ type: 'fixed-size', numSlots: activities }`, `{ type: 'fixed-size', numSlots: 100 }`]],
    test: scaling,
    named: 'KEYSTRIDE_ACTIVITIES=2',
  },
  {
    rule: 'a worker takes no more pages on a machine whose processors are busier than its target',
    edits: [[load, 'targetCpuUsage: target.cpu', 'targetCpuUsage: 1']],
    test: scaling,
    named: 'KEYSTRIDE_TARGET_CPU',
  },
  {
    rule: 'a worker takes two activities, however busy its machine is',
    edits: [[load, 'const fewestActivities = 2;', 'const fewestActivities = 1;']],
    test: scaling,
    named: 'KEYSTRIDE_TARGET_CPU',
  },
  {
    rule: 'an option of keystride worker goes before the environment',
    edits: [[workerCommand, 'KEYSTRIDE_ACTIVITIES: options.activities,', '']],
    test: usage,
    named: 'options of a worker',
  },
  {
    rule: 'a pause is answered before what runs has come to rest',
    edits: [
      [controls, 'import { defineQuery', 'import { condition, defineQuery'],
      [
        controls,
        `(request) => answer(run, 'pause', request, () => run.requestPause(request?.reason ?? null)),`,
        `async (request) => {
      const answered = answer(run, 'pause', request, () => run.requestPause(request?.reason ?? null));
      await condition(() => run.status === 'paused');
      return answered;
    },`,
      ],
    ],
    test: pausing,
    named: 'a pause is answered',
  },
  {
    rule: 'a pause brings what runs to rest',
    edits: [
      [
        'packages/keystride/src/workflow/job-run.ts',
        `this.#state.become('pausing', reason);\n    this.work.interrupt();`,
        `this.#state.become('pausing', reason);`,
      ],
    ],
    test: 'test/workflows/controls.test.ts',
    named: 'pause lets the calls in flight commit',
  },
  {
    rule: 'a page hears of a pause within a second',
    edits: [['packages/keystride/src/host/serve.ts', `maxHeartbeatThrottleInterval: '1 second',`, '']],
    test: 'test/workflows/controls.test.ts',
    named: 'pause lets the calls in flight commit',
  },
  {
    rule: 'a page is many chunks: 500 events for a million rows',
    edits: [
      [
        'packages/keystride/src/page/page.ts',
        'this.#lease = afterChunk(this.#lease);',
        `this.#lease = afterChunk(this.#lease); this.#moving?.stop('pageOver');`,
      ],
    ],
    test: budget,
    named: 'where the database is the limit',
  },
  {
    rule: 'a page lasts: an event a second of an open partition',
    edits: [['packages/keystride/src/contract/policy.ts', '  pageSeconds: 10,\n', '  pageSeconds: 4,\n']],
    test: budget,
    named: 'open partition, of 1',
  },
  {
    rule: 'a job looks at its partitions now and then, within the events of their seconds',
    edits: [[window, 'const lookEvery = 15_000;', 'const lookEvery = 2_000;']],
    test: budget,
    named: 'open partition, of 4',
  },
  {
    rule: 'a verification that continues as new does not compare again what it has compared',
    edits: [
      ['packages/keystride/src/workflow/verify-instance.ts', 'if (from?.position === null) continue;', ''],
    ],
    test: continuing,
    named: 'a verification continues as new where it was',
  },
  {
    rule: 'a run that continues as new goes on with its verification where it was',
    edits: [
      ['packages/keystride/src/workflow/run-step.ts', 'run.keepCompared(request.step, state)', 'run.ready()'],
    ],
    test: continuing,
    named: 'a verification continues as new where it was',
  },
  {
    rule: 'a repair is asked for once, however many runs it takes',
    edits: [
      [
        'packages/keystride/src/workflow/verify-instance.ts',
        'started: startedBy(), firstRunId }',
        'started: startedBy() }',
      ],
    ],
    test: continuing,
    named: 'a verification continues as new where it was',
  },
  {
    rule: 'a page of a comparison is small again where something differs',
    edits: [
      [
        'packages/keystride/src/stores/postgres/growing-pages.ts',
        'page.differences.length > 0 ? 1 :',
        'false ? 1 :',
      ],
    ],
    test: 'test/readers/hash-comparison.test.ts',
    named: 'pages become larger while nothing differs',
  },
];
