import type { Mutation } from './mutation.ts';

const ledgerWork = 'packages/keystride/src/workflow/ledger-work.ts';
const test = 'test/workflows/within-the-task.test.ts';

const withinTask = 'packages/keystride/src/operations/within-task.ts';
const shortSteps = 'test/workflows/short-steps.test.ts';

/** What a run asks for within its workflow tasks, and when it may. */
export const withinTasks: readonly Mutation[] = [
  {
    rule: 'a run has nothing that a worker which may be there could not go on with',
    edits: [['packages/keystride/src/host/serve.ts', 'if (level >= presentLevel)', 'if (level >= 0)']],
    test,
    named: 'while workers of an earlier release may be there',
  },
  {
    rule: 'a ledger that is there is reckoned with older workers until somebody says that there are none',
    edits: [
      [
        'packages/keystride/src/ledger/migrate.ts',
        'if (!olderWorkers || applied.includes(firstFile))',
        'if (applied.length >= 0 || !olderWorkers)',
      ],
    ],
    test: 'test/migrate.test.ts',
    named: 'workers of an earlier release are reckoned with',
  },
  {
    rule: 'what is not answered within the task is asked for on the queue',
    edits: [[ledgerWork, 'throw error;\n    return whenever(request);', 'throw error;\n    throw error;']],
    test,
    named: 'what the ledger does not answer in the time of a task',
  },
  {
    rule: 'what is refused within the task is not asked for again',
    edits: [[ledgerWork, 'isVerdict(error) ||', 'isVerdict(undefined) ||']],
    test,
    named: 'while workers of an earlier release may be there',
  },
  {
    rule: 'a run asks for a bounded number of answers within its tasks',
    edits: [[ledgerWork, 'asked >= mostWithin ||', '']],
    test,
    named: 'a bounded number of answers',
  },
  {
    rule: 'a long answer is not given within a workflow task',
    edits: [
      ['packages/keystride/src/operations/guarded.ts', 'if (isLocal) refuseLong', 'if (!isLocal) refuseLong'],
    ],
    test,
    named: 'none that is long',
  },
  {
    rule: 'only a step whose items may be done again is done within the workflow task that opens it',
    edits: [
      [
        'packages/keystride/src/workflow/page-requests.ts',
        "policy.kind !== 'chunk' || policy.durableEvery !== 'page'",
        "policy.kind !== 'chunk'",
      ],
    ],
    test: shortSteps,
    named: 'calls others with its items',
  },
  {
    rule: 'only a step of one chunk is done within the workflow task that opens it',
    edits: [[withinTask, 'opened.expected > most ||', '']],
    test: shortSteps,
    named: 'has more than a chunk',
  },
  {
    rule: 'what fails within the workflow task is left to the queue',
    edits: [[withinTask, 'catch {\n      return opened;', 'catch (error) {\n      throw error;']],
    test: shortSteps,
    named: 'has an item that fails for good',
  },
];
