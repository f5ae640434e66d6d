import type { Mutation } from './mutation.ts';

const activities = 'packages/keystride/src/workflow/activities.ts';
const guarded = 'packages/keystride/src/operations/guarded.ts';
const gone = 'test/chaos/worker-gone.test.ts';

/** What becomes of work that is no page when its worker ends. */
export const workerEnds: readonly Mutation[] = [
  {
    rule: 'a worker that dies while it plans a step is missed by its heartbeat',
    edits: [
      [
        'packages/keystride/src/workflow/ledger-work.ts',
        `scheduleToCloseTimeout: '1 hour',\n  heartbeatTimeout,`,
        `scheduleToCloseTimeout: '1 hour',`,
      ],
    ],
    test: gone,
    named: 'a worker killed in the plan',
  },
  {
    rule: 'a worker that dies in a tasklet is missed by its heartbeat',
    edits: [[activities, 'timeoutSeconds * 1000,\n    heartbeatTimeout,', 'timeoutSeconds * 1000,']],
    test: gone,
    named: 'a worker killed in the tasklet',
  },
  {
    rule: 'work that lasts says that its worker lives',
    edits: [[guarded, '() => context.heartbeat()', '() => undefined']],
    test: gone,
    named: 'a plan that takes longer than a heartbeat may',
  },
  {
    rule: 'a plan that is interrupted does not fail its run',
    edits: [[guarded, 'interrupted(context, error, where) ??', '']],
    test: gone,
    named: 'a plan that is interrupted',
  },
];
